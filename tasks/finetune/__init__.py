"""Fine-tune: an assay in, a model that predicts it and an honest estimate of how well out.

Reading order: `request`, `plan`, `run`; the head: `frozen`, `closed_form`, `candidates`, `ridge`; weights: `tune`,
`tuning`, `watch`; what comes of it: `member`, `answers`, `trust`, `judge`, `results`, `directory`.
"""
