"""Commands of somebody who is not at this machine, as the page and Telegram share them: read, shown, confirmed, given."""
