"""Looks once a second after the account's files: somebody may clean up below a running bot, or fill its disk."""

from __future__ import annotations

from gridbot.incidents import DELETED, LOST
from gridbot.ports import Files
from gridbot.records.recorder import Recorder
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.worker.operator_alerts import Alerts

__all__ = ["FileWatch"]

FAILING = "state_file"


class FileWatch:
    """Makes journal and state files again when somebody has removed them; tells of that and of what cannot be written.

    A new checkpoint of the ledger follows, because the old one may need records that are gone.
    """

    def __init__(self, recorder: Recorder, files: Files, checkpoint: Checkpoint, alerts: Alerts) -> None:
        self._recorder = recorder
        self._files = files
        self._checkpoint = checkpoint
        self._alerts = alerts
        self._fails = False

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
        self._tell_failing(self._files.failing)

    def _tell_failing(self, failing: list[str]) -> None:
        """One incident while the disk refuses state files, whichever they are; the journal has one of its own."""
        before, self._fails = self._fails, bool(failing)
        if failing and not before:
            self._alerts("error", FAILING, failing[0])
        elif before and not failing:
            self._alerts.over(FAILING, "the state files are written again")

    @property
    def reasons(self) -> list[str]:
        """What of it an operator has to know for the moment."""
        return [row["text"] for row in self._alerts.rows() if row["key"] in (DELETED, LOST, FAILING)]
