"""Variants: a file of mutations, of mutated sequences or of a genome's variants in, log-likelihood ratios out.

Reading order: `request`, `setup`, the inputs (`table_input`, `scan_input`, `vcf_input`), `prepare`, `pairs`, `compute`,
`assemble`; then what is written: `tables`, `vcf_output`, `agreement`, `heatmap`.
"""
