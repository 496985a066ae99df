"""One module for each command: its arguments, its help, and what it prints."""
