"""Nuke: scripts read and written, menus made from the node registry, the plug-in that Nuke loads."""
