"""Nodes that lay pictures over each other."""
