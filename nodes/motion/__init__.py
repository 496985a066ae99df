"""Motion between frames, and nodes that use it."""
