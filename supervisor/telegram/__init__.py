"""Questions and commands by Telegram: a process of its own with long polling, and no trading (docs/telegram.md)."""
