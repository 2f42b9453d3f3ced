"""Embed: a file of sequences in, a file of vectors out.

Reading order: `request`, `setup`, `run`, `compute`, `assemble`; the mechanism is that of `tasks/files`.
"""
