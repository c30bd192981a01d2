"""Where the process that tells people of alerts keeps what it has still to tell: one private file, `notify.json`.

It has texts of alerts and no address. One that cannot be read is set aside, and everything open is told anew.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import orjson

from gridbot.atomic_file import remove_abandoned, write_atomic
from gridbot.doors.bounded_json import read_json
from supervisor.notify.teller import Teller

__all__ = ["NotifyFile"]

log = logging.getLogger("supervisor.notify")

FILE: Final = "notify.json"
LONGEST: Final = 64 << 20


class NotifyFile:
    """Of a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "notify" / FILE
        self._written = b""
        self._lock = threading.Lock()

    def load(self, names: Sequence[str]) -> Teller:
        """What was kept for these addresses; a new state when there is none. Raises OSError."""
        remove_abandoned(self.path)
        try:
            return Teller.from_document(read_json(self.path.read_bytes(), longest=LONGEST), names)
        except FileNotFoundError:
            return Teller()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            aside = self.path.with_suffix(".damaged")
            with contextlib.suppress(OSError):
                self.path.replace(aside)
            log.warning("%s cannot be read (%s); kept as %s, and told is what is open", self.path, error, aside.name)
            return Teller()

    def save(self, state: Teller) -> None:
        """Write it, unless the file says so already. Raises OSError."""
        data = orjson.dumps(state.to_document())
        with self._lock:  # the thread of a turn that was cancelled may still be writing
            if data != self._written:
                write_atomic(self.path, data)
                self._written = data
