"""The control socket's operations without processes: a fleet, a rescue and what was recorded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from supervisor.children.child_spec import ChildKind
from supervisor.children.policy_types import ProcessState
from supervisor.children.rescues import NoRescue, RescueUnderWay
from supervisor.control.operations import Operations
from supervisor.process.alert_desk import AlertDesk


class Fleet(list):
    """As much of the children as requests need."""

    def __init__(self) -> None:
        super().__init__([Child("writer", ChildKind.WRITER), Child("worker-alice", ChildKind.WORKER, "alice")])
        self.events: list[tuple[str, object]] = []

    def find(self, name: str) -> Any:
        return next((child for child in self if name in (child.spec.name, child.spec.account)), None)

    def advance(self, child: Any, event: object) -> None:
        self.events.append((child.spec.name, event))


class Child:
    def __init__(self, name: str, kind: ChildKind, account: str = "") -> None:
        self.spec = SimpleNamespace(name=name, kind=kind, account=account, rescue="a:b")
        self.state = SimpleNamespace(process=ProcessState.RUNNING, last_report=97.0)
        self.pid: int | None = 1
        self.last_exit = "killed by the supervisor"
        self.sent: list[dict[str, Any]] = []
        self.reached = True
        self.staged: object = None

    def send(self, message: dict[str, Any]) -> bool:
        self.sent.append(message)
        return self.reached


class Rig:
    def __init__(self) -> None:
        self.fleet = Fleet()
        self.state = "running"
        self.stops: list[tuple[str | None, bool]] = []
        self.alerts: list[tuple[str, str]] = []
        self.records: list[tuple[str, Any, Any]] = []
        self.by: list[str] = []
        self.rescue, self.no_rescue = Child("rescue-alice", ChildKind.RESCUE, "alice"), ""
        self.rescued: list[str] = []
        self.under_way, self.down = False, 0
        self.operations = Operations(
            self.fleet,  # type: ignore[arg-type]
            lambda: {"supervisor": {"state": self.state}},
            lambda mode, *, force: self.stops.append((mode, force)),
            self.record,
            lambda *alert: self.alerts.append(alert),
            self,  # type: ignore[arg-type]
            clock=lambda: 100.0,
            data_dir=Path("/the data"),
            permits=self.lend,
            running=lambda: {"alice": {"account": {"name": "alice"}}},
            desk=AlertDesk(lambda: {"incidents": []}, lambda _: None, lambda: 0).handlers,
        )

    def lend(self, exchange: str, message: dict[str, Any]) -> dict[str, Any]:
        return {"guest": f"of {exchange}", "lent": int(message["seen"])}

    async def begin(self, worker: Any) -> Any:
        """A rescue of the worker's account, as far as a command needs one."""
        if self.no_rescue:
            raise (RescueUnderWay if self.under_way else NoRescue)(self.no_rescue)
        self.rescued.append(worker.spec.name)
        return self.rescue

    def of(self, account: str) -> Any:
        return self.rescue

    def end(self, account: str) -> None:
        self.down = 0

    def keeps_down(self, account: str) -> bool:
        """Whether there is a rescue, for so many looks."""
        self.down = max(0, self.down - 1)
        return self.down > 0

    def record(self, name: str, args: Any, answer: Any, who: str) -> None:
        self.records.append((name, args, answer))
        self.by.append(who)

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        return asyncio.run(self.operations.handle({"op": op, **fields}, "op@host"))

    def refusal(self, op: str, **fields: Any) -> str:
        answer = self.ask(op, **fields)
        assert answer["ok"] is False
        return str(answer["error"])

    def rescued_by(self, name: str, **answer: Any) -> dict[str, Any]:
        """What comes of a command that goes to a rescue."""

        async def run() -> dict[str, Any]:
            request = {"op": "worker", "account": "alice", "name": name, "wait_s": 0.01}
            asked = asyncio.ensure_future(self.operations.handle(request, "op@host"))
            while not self.rescue.sent:
                await asyncio.sleep(0.01)
            number = self.rescue.sent[0]["id"]
            self.operations.on_taken({"type": "taken", "id": number})
            self.operations.on_answer({"type": "answer", "id": number, **answer})
            return await asked

        return asyncio.run(run())

    def asked_and_answered(self, name: str, args: Any = None, **answer: Any) -> dict[str, Any]:
        return self.answered({"op": "worker", "account": "alice", "name": name, "args": args}, **answer)

    def answered(self, request: dict[str, Any], **answer: Any) -> dict[str, Any]:
        async def run() -> dict[str, Any]:
            asked = asyncio.ensure_future(self.operations.handle(request, "op@host"))
            while not self.fleet[1].sent:
                await asyncio.sleep(0)
            self.operations.on_answer({"type": "answer", "id": 1, **answer})
            return await asked

        return asyncio.run(run())
