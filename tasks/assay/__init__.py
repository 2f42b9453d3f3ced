"""Assay: a table of sequences with measured values, split, scored, calibrated and compared with simple models.

Reading order: `task` and `assay` (what is held), `table` (how it is read: `columns`, `cells`, `kinds`, `labels`,
`audit`), `splits`, `metrics`, `baselines`, `calibration`, `domain`.
"""
