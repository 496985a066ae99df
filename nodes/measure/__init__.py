"""Nodes and instruments that measure pictures."""
