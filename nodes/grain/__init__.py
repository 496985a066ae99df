"""Nodes for grain: off, on, measured."""
