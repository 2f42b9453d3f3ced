"""Predict: a fine-tuned model and a file of sequences in, the same file with predictions out.

Reading order: `request`, `setup`, `job`, `run`, then `compute`, `assemble`, `input_columns`, `table`.
"""
