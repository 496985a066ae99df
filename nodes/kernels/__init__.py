"""Pixel kernels, one source for CPU and GPU, and the layer that calls them."""
