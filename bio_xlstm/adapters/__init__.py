"""Small sets of weights that adapt a trained model: low-rank changes of its matrices, a learned initial state.

The model itself stays as it is, and runs the same kernels.
"""
