"""What goes wrong with market data, for people."""

from __future__ import annotations

__all__ = ["MarketError"]


class MarketError(Exception):
    """Market data cannot be read or written; the text names the file and says what to do."""
