"""Nuke's script text (.nk and the clipboard): read without running any of it, and written."""
