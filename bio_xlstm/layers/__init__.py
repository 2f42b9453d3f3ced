"""Modules shared by every model; shapes: B batch, T time, D model width, I inner width, H heads, N sequences."""
