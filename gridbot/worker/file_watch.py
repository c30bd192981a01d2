"""Looks once a second whether the account's files are still there: somebody may clean up below a running bot."""

from __future__ import annotations

from gridbot.incidents import DELETED, LOST
from gridbot.ports import Files
from gridbot.records.recorder import Recorder
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.worker.operator_alerts import Alerts

__all__ = ["FileWatch"]


class FileWatch:
    """Makes journal and state files again when somebody has removed them, and tells of it.

    A new checkpoint of the ledger follows, because the old one may need records that are gone.
    """

    def __init__(self, recorder: Recorder, files: Files, checkpoint: Checkpoint, alerts: Alerts) -> None:
        self._recorder = recorder
        self._files = files
        self._checkpoint = checkpoint
        self._alerts = alerts

    def look(self) -> None:
        """Once a second. Two looks at files of the journal and one at each small file."""
        removed, names = self._recorder.keep(), self._files.restore()
        if removed is not None:
            self._checkpoint.renew()
            self._alerts("error", LOST if removed.lost else DELETED, removed.text)
        if names:
            where = self._files.path(names[0])
            more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
            text = f"somebody removed {where}{more} while the bot runs; written again as before"
            self._alerts("error", DELETED, text, cause="state")

    @property
    def reasons(self) -> list[str]:
        """What of it an operator has to know for the moment."""
        return [row["text"] for row in self._alerts.rows() if row["key"] in (DELETED, LOST)]
