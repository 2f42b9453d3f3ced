"""Variants: how much more or less likely a sequence becomes when some of its letters change.

Reading order: `mutations` (what changes), `ratios` (the door), then how a ratio is computed: `likelihood`, `filling`,
`masking`, of which the first two go on from what `flanks` has read before the change. `vcf`, `genome` and `windows` are
about variants of DNA.
"""
