"""Score: a file of sequences in, a file of likelihoods out.

Reading order: `request`, `setup`, `compute`, `null`, `assemble`, then `tables` and `positions`, which write.
"""
