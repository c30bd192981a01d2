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
    "ProcessState",
    "Ready",
    "Report",
    "Restart",
    "RestartPolicy",
    "SpawnFailed",
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
    """The numbers of one child; all times in seconds."""

    backoff_initial: float = 1.0
    backoff_max: float = 60.0
    max_restarts: int = 5
    window: float = 600.0
    healthy_after: float = 60.0
    heartbeat_timeout: float = 10.0
    start_timeout: float = 60.0
    stop_timeout: float = 20.0
    abort_grace: float = 1.0
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
    """What follows the exit of a process that is STOPPING."""

    STOP = "stop"
    RESTART = "restart"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ChildState:
    """All that is remembered of one child. Times are those of the monotonic clock that `step` is given."""

    process: ProcessState = ProcessState.STOPPED
    since: float = 0.0
    alive: bool = False
    last_report: float = 0.0
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
    """It shall run. A no-op unless STOPPED or FATAL; forgets old failures."""


@dataclass(frozen=True, slots=True)
class Wait:
    """It cannot start yet, and why. Only a STOPPED child shows the reason; nothing else changes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """It shall end: in order, or by SIGKILL when `force`."""

    force: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    """It shall end in order and start anew, at once and uncounted."""

    reason: str = "restart asked for"


@dataclass(frozen=True, slots=True)
class Ready:
    """The process says that its work has begun."""


@dataclass(frozen=True, slots=True)
class Report:
    """The process gave a sign of life."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone: `code` >= 0 as it chose, < 0 the signal that ended it; `text` in words."""

    code: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class SpawnFailed:
    """The operating system did not give us a process."""

    text: str


Event = Start | Wait | Stop | Restart | Ready | Report | Exited | SpawnFailed


class Do(StrEnum):
    """What the shell has to do. ASK_STOP is the message or signal the child knows as "end in order"."""

    SPAWN = "spawn"
    ASK_STOP = "ask stop"
    TERMINATE = "SIGTERM"
    ABORT = "SIGABRT"
    KILL = "SIGKILL"


@dataclass(frozen=True, slots=True)
class Alert:
    """Somebody should know. `level` is a logging level name: WARNING, ERROR or CRITICAL."""

    level: str
    text: str


Action = Do | Alert
