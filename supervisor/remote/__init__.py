"""Commands from afar, as the page and Telegram share them: read, shown, confirmed, given."""
