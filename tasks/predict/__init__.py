"""Predict: a fine-tuned model and a file of sequences in, the same file with predictions out.

Reading order: `request`, `setup`, `run`, then `compute`, `assemble`, `input_columns`, `table`.
"""
