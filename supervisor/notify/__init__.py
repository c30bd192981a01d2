"""Messages to people about alerts: a process of its own that reads status and news, and no trading (docs/alerts.md)."""
