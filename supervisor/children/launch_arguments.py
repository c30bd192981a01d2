"""What a child is given when it starts, beyond its spec: its record queue, and where the paper exchange is.

Owns the queues and the paper exchange's address.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supervisor.children.child import CONTEXT
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.pipe import Message
from supervisor.children.queues import QueueLedger, close_queue

__all__ = ["LaunchArguments"]

QUEUE_SIZE = 1000
REFRESH_PAUSE_S = 5.0
"""Least time between two orderly restarts of the writer for the sake of new queues."""


class LaunchArguments:
    """The arguments of the next process of each child."""

    def __init__(self, accounts: Iterable[str]) -> None:
        self._queues = QueueLedger(accounts, lambda: CONTEXT.Queue(maxsize=QUEUE_SIZE), close_queue)
        self._paper: dict[str, Any] = {}
        self._refreshed_at: float | None = None

    @property
    def paper_url(self) -> str | None:
        """Where the paper exchange answers; None until it has said so for the first time."""
        return self._paper.get("url")

    def of(self, spec: ChildSpec) -> tuple[Any, ...]:
        """The arguments after those of the spec (see `ChildKind`). The queues in them count as given away."""
        match spec.kind:
            case ChildKind.PAPER:
                return (self._paper.get("port", 0),)
            case ChildKind.WRITER:
                return (self._queues.for_writer(),)
            case ChildKind.WORKER:
                return self.paper_url if spec.needs_paper else None, self._queues.for_worker(spec.account)

    def paper_is_ready(self, message: Message) -> str:
        """Note the address in its ready message. The address it had before if that is another, else ""."""
        before = str(self.paper_url or "") if self._paper and message.get("url") != self.paper_url else ""
        self._paper = {"url": message.get("url"), "port": message.get("port")}
        return before

    def ended(self, spec: ChildSpec, *, in_order: bool) -> None:
        """A process has ended, or could not be started: keep its queues, or discard them if it left out of order."""
        if spec.kind is ChildKind.WORKER:
            self._queues.worker_ended(spec.account, in_order=in_order)
        elif spec.kind is ChildKind.WRITER:
            self._queues.writer_ended(in_order=in_order)

    def records_by_queue(self, account: str) -> bool:
        """Whether this account's records reach the writer by queue; by its journal otherwise."""
        return bool(account) and self._queues.usable(account)

    def refresh_is_due(self, now: float) -> bool:
        """Whether the running writer should restart to get a new queue. True at most once in some seconds."""
        if self._refreshed_at is not None and now - self._refreshed_at < REFRESH_PAUSE_S:
            return False
        if not self._queues.writer_outdated():
            return False
        self._refreshed_at = now
        return True

    def forget_discarded(self) -> None:
        """Let go of discarded queues. Only when no process is starting, see `children.queues.close_queue`."""
        self._queues.bury()
