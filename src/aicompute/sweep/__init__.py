"""Grids and random designs over any input: streamed to files, block by block, here or on other machines."""
