"""Timelines: an edit conformed to media, a graph document for each shot, and the edit again with restored media."""
