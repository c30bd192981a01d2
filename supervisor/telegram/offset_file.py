"""From which update on the bot has not seen any: one small file, so that no update is carried out twice.

It is written before an update is carried out: one whose process dies in between is lost, and nobody is told that it was
done. Numbers of another bot mean nothing, so its number (which is no secret) stands in it, too.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import orjson

from gridbot.atomic_file import remove_abandoned, write_atomic
from gridbot.core.strict_numbers import amount_or_none, whole_or_none
from gridbot.doors.bounded_json import JsonMistake, read_json

__all__ = ["OffsetFile"]

log = logging.getLogger("supervisor.telegram")

FILE: Final = "telegram.json"
FORMAT: Final = 1


class OffsetFile:
    """Of a data directory, for the bot of this number."""

    def __init__(self, data_dir: Path, bot_id: str) -> None:
        self.path = data_dir / "telegram" / FILE
        self._bot_id = bot_id

    def load(self) -> tuple[int | None, float]:
        """The number from which updates are new, and when the last one came (Unix, seconds); None and 0 for none.

        Raises OSError. A file that is no such file is passed over: the Bot API keeps the number as well.
        """
        remove_abandoned(self.path)
        try:
            document = read_json(self.path.read_bytes())
        except FileNotFoundError:
            return None, 0.0
        except JsonMistake:
            document = None
        number = whole_or_none(document.get("next")) if isinstance(document, dict) else None
        seen_s = amount_or_none(document.get("seen_s")) if isinstance(document, dict) else None
        if number is None or seen_s is None or document.get("format") != FORMAT:
            log.warning("%s is none of ours and passed over; messages younger than a minute are carried out", self.path)
            return None, 0.0
        return (number, float(seen_s)) if document.get("bot") == self._bot_id else (None, 0.0)

    def save(self, number: int, seen_s: float) -> None:
        """Raises OSError."""
        document = {"format": FORMAT, "bot": self._bot_id, "next": number, "seen_s": seen_s}
        write_atomic(self.path, orjson.dumps(document))
