"""Files of records to files of rows: the one mechanism of embed, score, variants and predict.

Reading order: `request`, `opening`, `job`, `run`, then `units`, `prepare`, `worker`, `unit_rows`.
"""
