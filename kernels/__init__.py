"""Sequence primitives: one sub-folder each, one signature on every backend.

Axis letters used in the shape comments of this project:

    B batch    T time (tokens)    N sequences (packed or batched)    D model width    H heads
    K key width of one head       V value width of one head          L chunk length   G chunks
    C channels                    W width of the convolution

A batch is either B sequences of equal length T, or, with ``cu_seqlens`` and B == 1, N sequences packed end to end.
"""
