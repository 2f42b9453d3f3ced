"""Splits: which rows are trained on, and whether the others are far enough away.

`make_split` is the door; `leakage` looks for what two parts share.
"""
