"""Embed: a file of sequences in, a file of vectors out.

Reading order: `request`, `setup`, `run`, then `units`, `prepare`, `compute`, `assemble`.
"""
