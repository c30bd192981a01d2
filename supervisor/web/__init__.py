"""The page in a browser: a process of its own that reads status and records, and touches no trading (docs/web.md)."""
