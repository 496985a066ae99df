"""Diffusion pipelines of other people: what lies in their folder, what memory a tile takes, tiles, and running them."""
