"""Nodes for damage: laid, found, shown, repaired."""
