"""The client of the commands: a supervisor that holds the data directory is there, whether its socket is or not."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from supervisor.control.control_client import ControlClient, NotRunning, Unanswered
from supervisor.control.operator_name import before_sudo
from supervisor.polling import wait_until
from supervisor.process.directory_lock import holder

__all__ = ["PatientClient"]

PATIENCE_S: Final = 4.0
"""A socket that somebody has removed is made again within a second or two."""
POLL_S: Final = 0.1


class PatientClient(ControlClient):
    """Waits a moment for the socket of a supervisor that runs; Unanswered when it does not come.

    Unless told otherwise it says who is behind `sudo`.
    """

    def __init__(self, data_dir: Path | str, *, timeout: float = 5.0, who: str = "") -> None:
        super().__init__(data_dir, timeout=timeout, who=who or before_sudo(os.environ))

    def _connect(self) -> socket.socket:
        found = wait_until(self._try, timeout_s=PATIENCE_S, every_s=POLL_S)
        if found is None:
            pid = holder(self._data_dir)
            if pid is None:
                raise NotRunning(f"no supervisor runs in {self._data_dir}")
            raise Unanswered(f"the supervisor in {self._data_dir} (pid {pid or 'unknown'}) has no control socket")
        return found

    def _try(self) -> socket.socket | None:
        try:
            return super()._connect()
        except NotRunning:
            if holder(self._data_dir) is None:
                raise
            return None
