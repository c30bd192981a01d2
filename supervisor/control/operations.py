"""What the control socket can ask of a supervisor; the requests are listed in `socket_protocol`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gridbot.version import __version__
from supervisor.children.child_spec import ChildKind
from supervisor.children.fleet import Fleet
from supervisor.children.policy import ProcessState, Restart
from supervisor.control.socket_protocol import STOP_MODES, Json, refused
from supervisor.control.worker_commands import WorkerCommands

__all__ = ["Operations"]

COMMAND_WAIT_S = 5.0


class StopCall(Protocol):
    """Begins the stop: with the orders' `mode` (None: as configured), or by `force`."""

    def __call__(self, mode: str | None, *, force: bool) -> None: ...


class Operations:
    """Answers requests. `record` keeps a command, its arguments and its answer."""

    def __init__(
        self,
        fleet: Fleet,
        status: Callable[[], Json],
        stop: StopCall,
        record: Callable[[str, Mapping[str, Any], Mapping[str, Any]], None],
    ) -> None:
        self._fleet = fleet
        self._status = status
        self._begin_stop = stop
        self._record = record
        self._commands = WorkerCommands()

    async def handle(self, request: Json) -> Json:
        """The answer to one request. Commands are recorded, except those that a worker got: it records them itself."""
        answer = await self._answer(request)
        recorded_by_worker = request["op"] == "worker" and answer.get("delivered")
        if request["op"] in ("stop", "restart", "worker") and not recorded_by_worker:
            name = str(request.get("name", "")) if request["op"] == "worker" else str(request["op"])
            self._record(name, {k: v for k, v in request.items() if k != "op"}, answer)
        return answer

    def on_answer(self, message: Json) -> None:
        """A worker's answer to a command."""
        self._commands.on_answer(message)

    async def _answer(self, request: Json) -> Json:
        match request["op"]:
            case "ping":
                return {"ok": True, "pid": os.getpid(), "version": __version__, "state": self._state()}
            case "status":
                return {"ok": True, "status": self._status()}
            case "stop":
                return self._stop(request)
            case "restart":
                return self._restart(str(request.get("child", "")))
            case "worker":
                return await self._worker(request)
            case other:
                return refused(f"unknown request {other!r}: expected ping, status, stop, restart or worker")

    def _state(self) -> str:
        return str(self._status()["supervisor"]["state"])

    def _stop(self, request: Json) -> Json:
        mode = request.get("mode")
        if mode is not None and mode not in STOP_MODES:
            return refused(f"expected a mode of {', '.join(STOP_MODES)}, got {mode!r}")
        self._begin_stop(mode, force=bool(request.get("force")))
        return {"ok": True}

    def _restart(self, name: str) -> Json:
        child = self._fleet.find(name)
        if child is None:
            return refused(self._unknown(name))
        if self._state() == "stopping":
            return refused("the supervisor is stopping")
        self._fleet.advance(child, Restart("restart asked for by an operator"))
        return {"ok": True, "child": child.spec.name}

    async def _worker(self, request: Json) -> Json:
        account, name = str(request.get("account", "")), str(request.get("name", ""))
        worker = self._fleet.find(account)
        if worker is None or worker.spec.kind is not ChildKind.WORKER:
            return refused(self._unknown(account))
        if worker.state.process is not ProcessState.RUNNING:
            return refused(f"the worker of {account} is {worker.state.process}: it takes commands when RUNNING")
        wait_s = float(request.get("wait_s", COMMAND_WAIT_S))
        return await self._commands.send(worker, name, request.get("args") or {}, wait_s)

    def _unknown(self, name: str) -> str:
        known = ", ".join(child.spec.account or child.spec.name for child in self._fleet)
        return f"no process or account {name!r} here; there are {known}"
