"""Alerts: what an operator has to know. Each is recorded and then passed on, also one that cannot be recorded."""

from __future__ import annotations

import logging

from gridbot.records.record_types import AlertRecord
from gridbot.worker.context import Alert, RecordSink

__all__ = ["Alerts"]

log = logging.getLogger(__name__)


class Alerts:
    """Records each alert and passes it to `tell`, which logs it and informs the supervisor."""

    def __init__(self, recorder: RecordSink, tell: Alert) -> None:
        self._recorder = recorder
        self._tell = tell

    def __call__(self, level: str, key: str, text: str, strategy: str = "") -> None:
        try:
            self._recorder.record(AlertRecord(strategy=strategy, level=level.upper(), key=key, text=text))
        except Exception:
            log.exception("an alert could not be recorded")
        self._tell(level, key, text, strategy)
