"""What a child's message leads to. What the child says about itself alone, `Child` has noted already."""

from __future__ import annotations

import logging
from collections.abc import Callable

from supervisor.caps.caps_keeper import CapsKeeper
from supervisor.children.child import Child
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.launch_arguments import LaunchArguments
from supervisor.children.pipe import Message
from supervisor.children.policy_types import Ready, Report, Restart
from supervisor.leases.sharing import Sharing
from supervisor.process.child_alerts import Alerts
from supervisor.process.commit_relay import CommitRelay

__all__ = ["ChildMessages"]

log = logging.getLogger("supervisor")


class ChildMessages:
    """Gives each message to the part it concerns.

    `on_answer` takes a worker's answer to a command, `on_taken` its word that one takes long; `on_ready` is called
    after a child has become ready; `on_fault` hears of a message that could not be used.
    """

    def __init__(
        self,
        fleet: Fleet,
        launch: LaunchArguments,
        alerts: Alerts,
        commits: CommitRelay,
        sharing: Sharing,
        caps: CapsKeeper,
        on_answer: Callable[[Message], None],
        on_taken: Callable[[Message], None],
        on_ready: Callable[[], None],
        on_fault: Callable[[str, BaseException], None],
    ) -> None:
        self._fleet = fleet
        self._launch = launch
        self._alerts = alerts
        self._commits = commits
        self._sharing = sharing
        self._caps = caps
        self._on_answer = on_answer
        self._on_taken = on_taken
        self._after_ready = on_ready
        self._on_fault = on_fault

    def take(self, child: Child, message: Message) -> None:
        """Never raises: a message that cannot be used goes to `on_fault`, and the ones behind it still count."""
        try:
            self._take(child, message)
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            self._on_fault(f"{child.spec.name}: taking in a message of type {message.get('type')!r}", error)

    def _take(self, child: Child, message: Message) -> None:
        match message.get("type"):
            case "ready":
                self._note_ready(child, message)
                self._fleet.advance(child, Ready())
                self._after_ready()
            case "holds_nothing":
                child.holds_nothing = True
                self._after_ready()
            case "health":
                self._fleet.advance(child, Report())
                if child.spec.kind is ChildKind.WRITER:
                    self._commits.writer_reported(child, message)
            case "alert":
                self._take_alert(child, message)
            case "restart":
                self._fleet.advance(child, Restart(str(message.get("reason"))))
            case "held":
                self._launch.held(child.spec.account, message)
            case "document" | "superseded":
                self._launch.on_lease(child.spec.account, message)
            case "requests" | "banned" | "fact_wanted" | "fact_read" | "line_start":
                self._sharing.take(child.spec.account, message)
            case "caps":
                self._caps.take(child.spec.account, message)
            case "answer":
                self._on_answer(message)
            case "taken":
                self._on_taken(message)
            case "account_opened":
                self._launch.on_paper[str(message["name"])] = None
            case "bye" | "refused":
                pass
            case other:
                log.warning("%s sent a message of unknown type %r", child.spec.name, other)

    def _take_alert(self, child: Child, message: Message) -> None:
        """What a worker has recorded itself is an incident of its own; all else is one of ours."""
        level, text = str(message.get("level", "WARNING")).upper(), str(message.get("text", ""))
        if message.get("recorded"):
            self._alerts.pass_on(child, level, text, message)
        elif level == "INFO":
            self._alerts.over(child, str(message.get("key", "")), text)
        else:
            self._alerts.add(child, level, text, str(message.get("key", "message")))

    def _note_ready(self, child: Child, message: Message) -> None:
        if child.spec.kind is ChildKind.PAPER:
            before = self._launch.paper_is_ready(message)
            if before:
                self._alerts.add(child, "CRITICAL", f"came back as {message.get('url')}, not {before}", "moved")
        elif child.spec.kind is ChildKind.WORKER:
            self._commits.worker_is_ready(child)
