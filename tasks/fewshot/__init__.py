"""Few-shot evaluation: many assays, small labelled supports drawn from each, and all methods on the same draws."""
