"""Why a backtest cannot be made."""

from __future__ import annotations

__all__ = ["AskedWrongly", "CannotRun"]


class CannotRun(Exception):
    """The backtest cannot be made; the text says what was expected, what is there, and what to do."""


class AskedWrongly(CannotRun):
    """There is no such span, account or strategy, or no such name can be: what was asked for has to be another."""
