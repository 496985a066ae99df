"""How the shipped weights are made, and made again."""
