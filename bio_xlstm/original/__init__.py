"""Checkpoints of the original implementations: read without running anything in them, and turned into our models."""
