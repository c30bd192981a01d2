"""Passes on what the writer has committed: to the workers, to the supervisor's own journal, and as alerts when late."""

from __future__ import annotations

from gridbot.doors.pseudo_account import SUPERVISOR
from gridbot.incidents import DELETED, LOST
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.pipe import Message
from supervisor.process.child_alerts import Alerts
from supervisor.store.store_watch import DamageWatch, StoreWatch
from supervisor.store.supervisor_journal import SupervisorJournal

__all__ = ["CommitRelay"]

STORE, DAMAGE = "store", "damage"
"""Keys of the incidents that the database is behind, and that it is damaged."""


class CommitRelay:
    """Owns the number of the last committed record of each account."""

    def __init__(self, fleet: Fleet, journal: SupervisorJournal, alerts: Alerts, watch: StoreWatch) -> None:
        self._fleet = fleet
        self._journal = journal
        self._alerts = alerts
        self._watch = watch
        self._damage = DamageWatch()
        self._removed = ""
        self._committed: dict[str, int] = {}

    def worker_is_ready(self, worker: Child) -> None:
        """Send a new process the number up to which the database holds its records, once the writer has reported it."""
        seq = self._committed.get(worker.spec.account)
        if seq is not None:
            worker.send({"type": "ack", "seq": seq})

    def writer_reported(self, writer: Child, report: Message) -> None:
        """A health report of the writer: acknowledge what is new in it, and raise or end its incidents."""
        for key, watch in ((STORE, self._watch), (DAMAGE, self._damage)):
            alert = watch.observe(report)
            if alert is not None and alert[0] == "INFO":
                self._alerts.over(writer, key, alert[1])
            elif alert is not None:
                self._alerts.add(writer, *alert, key)
        self._tell_losses(writer, report)
        committed = report.get("committed") or {}
        self._journal.ack(committed.get(SUPERVISOR, 0))
        for worker in self._fleet.of_kind(ChildKind.WORKER):
            seq = committed.get(worker.spec.account)
            if seq is not None and seq != self._committed.get(worker.spec.account):
                self._committed[worker.spec.account] = seq
                worker.send({"type": "ack", "seq": seq})

    def _tell_losses(self, writer: Child, report: Message) -> None:
        """Files that somebody removed; it stays told when the writer is another process that knows nothing of it."""
        removed = str(report.get("removed") or "")
        if removed and removed != self._removed:
            self._removed = removed
            self._alerts.add(writer, "ERROR", removed, LOST if report.get("lost") else DELETED)
