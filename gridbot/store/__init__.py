"""The records in DuckDB, without any process around it: when the file is opened and by whom is decided elsewhere.

Here are the tables (schema, migrations), what is kept up to date beside them (rollups) and the views over both; the
file itself (database), what goes into it in one transaction (landing, commit, bulk), the records of an account on their
way there (ingest), the views that users read in place of the stored tables (stored_views), and how they do (reading).
So a test, a replay or a notebook makes a database with the same tables as the writer process, which is in
`supervisor.store`.
"""
