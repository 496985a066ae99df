"""What Nuke loads: Python 3.7, the standard library and nuke alone; names, values and text are read here too."""
