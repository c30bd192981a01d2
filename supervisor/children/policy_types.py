"""The words of the restart policy: states, numbers, events that go in and actions that come out. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "TRANSITIONS",
    "Action",
    "After",
    "Alert",
    "ChildState",
    "Do",
    "Event",
    "Exited",
    "Hung",
    "LaunchFailed",
    "ProcessState",
    "Ready",
    "Report",
    "Restart",
    "RestartPolicy",
    "Seen",
    "Stalled",
    "Start",
    "Stop",
    "Wait",
]


class ProcessState(StrEnum):
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FATAL = "FATAL"


TRANSITIONS: dict[ProcessState, frozenset[ProcessState]] = {
    ProcessState.STOPPED: frozenset({ProcessState.STARTING}),
    ProcessState.STARTING: frozenset(
        {ProcessState.RUNNING, ProcessState.BACKOFF, ProcessState.STOPPING, ProcessState.FATAL}
    ),
    ProcessState.RUNNING: frozenset({ProcessState.STOPPING, ProcessState.BACKOFF, ProcessState.FATAL}),
    ProcessState.BACKOFF: frozenset({ProcessState.STARTING, ProcessState.STOPPED}),
    ProcessState.STOPPING: frozenset(
        {ProcessState.STOPPED, ProcessState.STARTING, ProcessState.BACKOFF, ProcessState.FATAL}
    ),
    ProcessState.FATAL: frozenset({ProcessState.STARTING}),
}


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The numbers of one child; all times in seconds.

    `patience`: a silence may last so many times its limit, all told, while the process waits for a core or the disk.
    `works_in_silence`: what it computes itself counts as such a wait. Not of a worker: one that computes for ten
    seconds looks after no orders.
    """

    backoff_initial: float = 1.0
    backoff_max: float = 60.0
    max_restarts: int = 5
    window: float = 600.0
    healthy_after: float = 60.0
    heartbeat_timeout: float = 10.0
    start_timeout: float = 60.0
    patience: float = 6.0
    works_in_silence: bool = False
    stop_timeout: float = 20.0
    abort_grace: float = 1.0
    room_wait: float = 5.0
    first_at_once: bool = False

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds to wait after the `failures`-th failure in a row (1 = first); `jitter` is in [0, 1]."""
        if self.first_at_once:
            failures -= 1
        if failures <= 0:
            return 0.0
        doubled = self.backoff_initial * 2.0 ** min(failures - 1, 32)
        return min(self.backoff_max, doubled) * (1.0 - 0.25 * jitter)


class After(StrEnum):
    """What follows when a STOPPING process has exited."""

    STOP = "stop"
    RESTART = "restart"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ChildState:
    """The state of one child. Times are of the monotonic clock that `step` gets, in seconds.

    `last_report`: when it last reported, or its process was started. `listening_since`: its silence counts from here at
    the earliest. `seen`, `seen_at`: its vital signs in this silence, and when that was; `excused`: seconds of this
    silence that do not count; `slow`: it was told that it is longer than its limit. `killed_for`: why the policy had
    its present or last process killed; "" while it did not. `short`: its last process ended, or could not be started,
    for want of room on the machine. `unborn`: launches in a row that the fork server did not survive.
    """

    process: ProcessState = ProcessState.STOPPED
    since: float = 0.0
    alive: bool = False
    last_report: float = 0.0
    listening_since: float = 0.0
    seen: Seen | None = None
    seen_at: float = 0.0
    excused: float = 0.0
    slow: bool = False
    killed_for: str = ""
    short: bool = False
    unborn: int = 0
    failures: int = 0
    recent: tuple[float, ...] = ()
    restarts: int = 0
    due: float | None = None
    after: After = After.STOP
    terminate_at: float | None = None
    kill_at: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Start it and forget old failures. Does nothing unless it is STOPPED or FATAL."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It cannot start yet, for this reason, which a STOPPED child then shows. Nothing else changes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End it: in order, or by SIGKILL when `force`."""

    force: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """End it in order and start it again at once; this is not counted as a restart."""

    reason: str = "restart asked for"


@dataclass(frozen=True, slots=True)
class Ready:
    """The process reports that its work has begun."""


@dataclass(frozen=True, slots=True)
class Report:
    """The process reported."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """The supervisor itself did not run for a while: its silence in that time is not the child's fault."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the kernel says of a silent process, all its threads together (`vital_signs`), in seconds since its birth.

    `ran_s` it has computed, `waited_s` it wanted to and had no core; `on_disk`: it waits for the disk now.
    """

    ran_s: float
    waited_s: float
    on_disk: bool


@dataclass(frozen=True, slots=True)
class Hung:
    """It does not do what cannot wait, for this reason: kill it now. Its end is a failure."""

    reason: str


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone. `code`: its exit code, or minus the signal that ended it; `text`: the same in words."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """No process came of a launch. `short`: for want of room, which says nothing about the child.

    `server_died`: the fork server has ended meanwhile, which says nothing about it either.
    """

    text: str
    short: bool = False
    server_died: bool = False


Event = Start | Wait | Stop | Restart | Ready | Report | Stalled | Seen | Hung | Exited | LaunchFailed


class Do(StrEnum):
    """What the caller has to do. ASK_STOP is the message or signal with which the child ends in order."""

    LAUNCH = "launch"
    ASK_STOP = "ask stop"
    TERMINATE = "SIGTERM"
    ABORT = "SIGABRT"
    KILL = "SIGKILL"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert for the operator. `level` is a logging level name: WARNING, ERROR or CRITICAL.

    `key` names the incident: "down", "room" while the child waits for room on the machine, or "slow".
    """

    level: str
    text: str
    key: str = "down"


Action = Do | Alert
