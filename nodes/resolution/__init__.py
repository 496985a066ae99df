"""Nodes that change how many pixels there are, or how sharp they look."""
