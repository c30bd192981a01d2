"""Where operators say what they think of alerts: the owner of `supervisor.status.alert_marks`, kept over restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gridbot.commands.arguments import AckArguments, MuteArguments, UnmuteArguments
from gridbot.doors.plain_text import one_line
from gridbot.state.documents import StateFile
from supervisor.status.alert_marks import Marks, acknowledge, mute, pruned, unmute

__all__ = ["AlertDesk"]

log = logging.getLogger("supervisor")

Json = dict[str, Any]
MARKS_FILE = "alert_marks.json"
LOOK_US = 5_000_000
"""Between two looks: each needs the whole status."""


class AlertDesk:
    """`status` is the model; `document` opens the file that keeps the marks, None while the disk refuses us."""

    def __init__(
        self,
        status: Callable[[], Mapping[str, Any]],
        document: Callable[[str], StateFile | None],
        wall_us: Callable[[], int],
    ) -> None:
        self.marks = Marks()
        self._status = status
        self._document = document
        self._wall_us = wall_us
        self._file: StateFile | None = None
        self._looked_us = 0
        self.handlers: Mapping[str, Callable[[Any, str], Json]] = {
            "ack": self._ack,
            "mute": self._mute,
            "unmute": self._unmute,
        }

    def open(self) -> None:
        """Take back what an earlier supervisor was told; what cannot be read is as if nobody had said it."""
        self._file = self._document(MARKS_FILE)
        try:
            known = None if self._file is None else self._file.load()
            if known is not None:
                self.marks = Marks.from_document(known)
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("what was said about alerts cannot be read, all are shown: %s", error)

    def look(self) -> None:
        """Once in a while: what is over needs no mark any more."""
        now_us = self._wall_us()
        if not (self.marks.acks or self.marks.mutes) or 0 <= now_us - self._looked_us < LOOK_US:
            return
        self._looked_us = now_us
        status = self._status()
        silent = [row["account"] for row in status["accounts"] if row["health"] is None]
        self._keep(pruned(self.marks, status["incidents"], silent, now_us))

    def _ack(self, args: AckArguments, who: str) -> Json:
        return self._said(*acknowledge(self.marks, self._rows(), args.alert, one_line(who, 80), self._wall_us()))

    def _mute(self, args: MuteArguments, who: str) -> Json:
        account, by = args.of_account or "", one_line(who, 80)
        return self._said(*mute(self.marks, self._rows(), args.what, account, args.seconds, by, self._wall_us()))

    def _unmute(self, args: UnmuteArguments, who: str) -> Json:
        return self._said(*unmute(self.marks, args.what))

    def _said(self, marks: Marks, text: str) -> Json:
        self._keep(marks)
        return {"ok": True, "result": text}

    def _rows(self) -> Sequence[Mapping[str, Any]]:
        rows: Sequence[Mapping[str, Any]] = self._status()["incidents"]
        return rows

    def _keep(self, marks: Marks) -> None:
        if marks is self.marks:
            return
        before, self.marks = self.marks, marks
        self._file = self._file or self._document(MARKS_FILE)
        if self._file is not None and before.to_document() != marks.to_document():
            self._file.save(marks.to_document())
