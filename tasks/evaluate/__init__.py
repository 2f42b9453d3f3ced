"""Evaluate: files of generated sequences in, numbers that say how good they are out.

Reading order: `request`, `inputs`, `generation`; then `judge_molecules` with `facts`, `molecules`, `fcd`, or
`judge_sequences` with `letters`, `sequences`, `nearest`, `profile`; then `report`, `histograms`, `grid`.
"""
