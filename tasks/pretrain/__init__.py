"""Pre-train a model from a recipe: corpus, packed batches, language-modelling steps, model directory.

Read in this order: `settings` and `data_settings` (the recipe), `corpus`, `reading` and `split` (text to token files),
`windows`, `filling`, `objectives` and `packing` (token files to batches), `batch_order` (which batch when),
`language_modeling` (one step), `run` (the whole).
"""
