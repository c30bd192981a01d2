"""What a child is given when it starts, beyond its spec: its end of a record queue, where the paper exchange is, and
what stops the orders of its account.

Owns all three. An account has one queue for as long as the supervisor lives: every process of the account has the same
sending end, every writer the same receiving ends. So the death of one never concerns another
(`gridbot.records.record_queue`). What stops orders is as workers have said it last: a pause that neither journal nor
file could take goes to the next process (`gridbot.state.state_log`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from gridbot.records.record_queue import record_queue
from gridbot.state.unkept_holds import BEGINS_PAUSED, UNKEPT
from supervisor.children.child_spec import ChildKind, ChildSpec
from supervisor.children.pipe import Message

__all__ = ["CAPS", "LEASE", "TAKES_OVER", "LaunchArguments"]

CAPS: Final = "caps"
LEASE: Final = "lease"
TAKES_OVER: Final = "takes_over"
"""Among the documents that stop orders, which are called by their files, what the caps of groups and fleet say.
`LEASE`, `TAKES_OVER` and `KNOWN` (`gridbot.worker.spec`) stop none, but go the same way."""


class LaunchArguments:
    """The arguments of the next process of each child. Raises OSError when there are no descriptors for the queues.

    With a reason in `paused` the strategies of each account begin paused, until its worker has said that they all are:
    from then on what holds them is as the worker says. So it is with what a rescue could write nowhere
    (`gridbot.state.unkept_holds`). `paper_url`: of a paper exchange that is none of our children.
    """

    def __init__(
        self, accounts: Iterable[str], paused: str = "", paper_url: str = "", *, pauses_new: bool = False
    ) -> None:
        """`pauses_new`: so do accounts that come later, each once: those that a host of a fleet takes."""
        self._queues = {account: record_queue() for account in accounts}
        self._paper: dict[str, Any] = {"url": paper_url} if paper_url else {}
        self._held: dict[str, dict[str, Any]] = {account: {} for account in self._queues}
        self.web_port = 0
        """The port that the page had; 0 before the first time."""
        self.on_paper: dict[str, None] = {}
        """Accounts that the paper exchange has opened while it ran."""
        self._paused = dict.fromkeys(self._queues, paused) if paused else {}
        self._pauses_new = paused if pauses_new else ""
        self._met = dict.fromkeys(self._queues)
        self.caps: Callable[[str], Message | None] = lambda account: None
        """What the caps of groups and fleet say to the next process of an account."""
        self.lease: Callable[[str], Message | None] = lambda account: None
        """The lease of the next process of an account, of a fleet of several hosts (`fleet.lease_desk`)."""
        self.on_lease: Callable[[str, Message], None] = lambda account, message: None
        """Hears what a worker says to the fleet of several hosts: `document`, `superseded`."""

    def add(self, account: str) -> None:
        """One more account. The writer of now reads its journal, the next one its queue too. Raises OSError."""
        if account not in self._queues:
            self._queues[account] = record_queue()
        self._held[account] = {}
        if self._pauses_new and account not in self._met:
            self._paused[account] = self._pauses_new
        self._met[account] = None

    def remove(self, account: str) -> None:
        """An account whose processes have ended; its queue stays for what is in it."""
        self._held.pop(account, None)

    @property
    def paper_url(self) -> str | None:
        """The address of the paper exchange; None until it has first reported one."""
        return self._paper.get("url")

    def of(self, spec: ChildSpec, *, takes_over: bool = False) -> tuple[Any, ...]:
        """The arguments after those of the spec (see `ChildKind`). `takes_over`: as in `WorkerSpec`."""
        match spec.kind:
            case ChildKind.PAPER:
                return (self._paper.get("port", 0),)
            case ChildKind.WRITER:
                return ({account: receiver for account, (_, receiver) in self._queues.items()},)
            case ChildKind.WORKER | ChildKind.RESCUE:
                paper_url = self.paper_url if spec.needs_paper else None
                word = self.caps(spec.account)
                held = {**self._held[spec.account], **({} if word is None else {CAPS: word})}
                if (leased := self.lease(spec.account)) is not None:
                    held[LEASE] = leased
                if spec.account in self._paused:
                    held[BEGINS_PAUSED] = self._paused[spec.account]
                if takes_over:
                    held[TAKES_OVER] = {}
                return paper_url, self._queues[spec.account][0], held
            case ChildKind.WEB:
                return (self.web_port,)
            case ChildKind.NOTIFY | ChildKind.TELEGRAM:
                return ()

    def held(self, account: str, message: Message) -> None:
        """A worker says what stops its orders now: a whole document, which takes the place of the one before."""
        name, document = str(message["name"]), message["document"]
        if name == BEGINS_PAUSED:
            self._paused.pop(account, None)
        elif name == UNKEPT and not document:
            self._held.get(account, {}).pop(UNKEPT, None)
        else:
            self._held.setdefault(account, {})[name] = document

    def paper_is_ready(self, message: Message) -> str:
        """Store the address of its ready message. Returns the previous address if it was different, else ""."""
        before = str(self.paper_url or "") if self._paper and message.get("url") != self.paper_url else ""
        self._paper = {"url": message.get("url"), "port": message.get("port")}
        self.on_paper.clear()
        return before

    def close(self) -> None:
        """Close our descriptors of the queues."""
        for ends in self._queues.values():
            for end in ends:
                end.close()
