"""Records when a run of a process starts and ends. A run that was cut off is closed by the next start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import orjson

from gridbot.config.snapshots import snapshot_sha256
from gridbot.records.record_types import Json, RunRecord, UtcUs
from gridbot.records.recorder import Recorder
from gridbot.state.documents import StateFile
from gridbot.version import __version__

__all__ = ["RunLog"]


class RunLog:
    """`snapshot` is the configuration without secrets; `file` holds the current run (incident L34).

    `epoch` is that of the account's lease; None without a fleet.
    """

    def __init__(
        self,
        file: StateFile,
        recorder: Recorder,
        snapshot: Mapping[str, Any],
        environment: str,
        *,
        epoch: int | None = None,
    ) -> None:
        self._epoch = epoch
        self._file = file
        self._recorder = recorder
        self._environment = environment
        self._config = Json(orjson.dumps(snapshot).decode())
        self._config_hash = snapshot_sha256(snapshot)

    def begin(self) -> None:
        """Open this run, and close an earlier one that was cut off. Raises OSError."""
        earlier = self._file.load()
        if earlier is not None and not earlier.get("ended"):
            newest = self._recorder.newest_header()  # a run that was cut off was alive then
            heartbeat = None if newest is None else newest.local_ts
            self._add("crashed", str(earlier.get("run_id")), reason="it never ended", heartbeat=heartbeat)
        self._file.save_now({"run_id": self._recorder.run_id, "ended": False})
        self._add("start", self._recorder.run_id)
        self._recorder.flush()

    def end(self, reason: str) -> None:
        """Record that this run ends; call `confirm` afterwards."""
        self._add("end", self._recorder.run_id, reason=reason)
        self._recorder.flush()

    def confirm(self) -> None:
        """Note that the end is recorded, so that the next start does not close this run. Raises OSError."""
        self._file.save_now({"run_id": self._recorder.run_id, "ended": True})

    def _add(self, event: str, about: str, *, reason: str = "", heartbeat: int | None = None) -> None:
        self._recorder.record(
            RunRecord(
                event=event,
                about_run_id=about,
                environment=self._environment,
                version=__version__,
                config_hash=self._config_hash,
                config=self._config,
                pid=os.getpid(),
                reason=reason,
                last_heartbeat=None if heartbeat is None else UtcUs(heartbeat),
                epoch=self._epoch if about == self._recorder.run_id else None,
            )
        )
