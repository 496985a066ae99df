"""Nodes that bring pictures in and out."""
