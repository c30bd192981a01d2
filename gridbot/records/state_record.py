"""The record that stays in the journal: the start reads it there, and the database has no table of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gridbot.records.record_fields import Json, col

__all__ = ["StateRecord"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRecord:
    """A small document of the account as it is from here on (`gridbot/state/state_log.py`). It stays in the journal.

    The next start reads it there; the database has no table of it.
    """

    TABLE: ClassVar[str] = "state"

    name: str = col("The document's file below the account's state directory.")
    document: Json = col("The whole document.")
