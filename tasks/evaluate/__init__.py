"""Evaluate: files of generated sequences, or of predictions, in; numbers that say how good they are out.

Reading order: `request`, `inputs`, `generation`; then `judge_molecules` with `facts`, `molecules`, `fcd`, or
`judge_sequences` with `letters`, `sequences`, `nearest`, `profile`; then `report`, `histograms`, `grid`.

Of predictions: `prediction_request`, `prediction_columns`, `prediction_table`, `predictions`.
"""
