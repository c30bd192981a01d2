"""Two records of what a strategy wanted and did, set side by side: which rows are the same, and what the others lack.

A side is a strategy of a database (`store_side`) or the log of another program (`log_map`, `log_reader`). Both become
rows of one shape in a working database (`comparison`), the rows are paired one to one (`row_pairs`, `near_pairs`:
pure), and the tables over the pairs (`pair_tables`) are what the summary and SQL read.
"""
