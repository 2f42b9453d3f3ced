"""The parts into which a corpus is divided."""

TRAIN = 0
HELD_OUT = 1
"""looked at while training and choosing"""
TEST = 2
"""looked at once, at the end"""
LEFT_OUT = 3
"""in no part: too close to held-out sequences, repeated, or unreadable"""
UNDECIDED = -1

STORES = {"train": TRAIN, "held_out": HELD_OUT, "test": TEST}
"""folder of every part that is kept"""
