"""What a child is: its name, its kind, the function it runs, and how it is restarted. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gridbot.state.key_lock import KeyShare
from supervisor.children.policy_types import RestartPolicy

__all__ = ["ChildKind", "ChildSpec"]


class ChildKind(StrEnum):
    """What a child is, which decides its pipes and the arguments it gets after those of its spec.

    PAPER:  entry(*args, port, report, life)      port: 0 at first, afterwards the one it had
    WRITER: entry(*args, queues, report, life)    queues: {account: the receiving end of its record queue}
    WORKER: entry(*args, paper_url, queue, held, conn)  paper_url: None unless `needs_paper`; queue: the sending end;
                                                  held: what stops orders, as an earlier process has said it

    RESCUE: like a worker
    WEB:    entry(*args, port, report, life)      port: as of PAPER
    NOTIFY: entry(*args, report, life)
    TELEGRAM: as NOTIFY

    `report` is written by the child, `life` only ever ends (when the supervisor is gone), `conn` is both.
    """

    PAPER = "paper"
    WRITER = "writer"
    WORKER = "worker"
    RESCUE = "rescue"
    WEB = "web"
    NOTIFY = "notify"
    TELEGRAM = "telegram"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A child to be run. `entry` is "package.module:function"; `args` must survive pickling.

    `ends_session`: when it ends with exit code 0, everything stops, as at the end of a replay. `keeps_state`: what it
    knows survives it.
    """

    name: str
    kind: ChildKind
    entry: str
    args: tuple[Any, ...] = ()
    account: str = ""
    needs_paper: bool = False
    ends_session: bool = False
    keeps_state: bool = True
    rescue: str = ""
    """The function that a rescue of this worker's account runs; "" where there is none."""
    lock: tuple[str, str] = field(default=("", ""), repr=False)
    """What its lock is named by: the key and the environment (on paper the exchange's address)."""
    share: KeyShare | None = None
    """The host of a fleet as which it has the key; None without a fleet."""
    policy: RestartPolicy = field(default_factory=RestartPolicy)
