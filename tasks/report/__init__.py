"""Report: a finished fine-tuning run in, one HTML file that needs no network out.

Reading order: `write`, `run_files`, `page`, then the parts in the order of the page; `markup` and `plot` draw them.
"""
