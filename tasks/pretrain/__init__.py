"""Pre-train a model from a recipe: corpus, packed batches, language-modelling steps, model directory.

Read in this order: `settings` (the recipe), `corpus` and `split` (text to token files), `packing` (token files
to batches), `language_modeling` (one step), `run` (the whole).
"""
