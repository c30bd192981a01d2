"""What the control socket can ask of a supervisor.

| request                                                      | answer                                             |
|--------------------------------------------------------------|----------------------------------------------------|
| {"op": "ping"}                                               | {"ok", "pid", "version", "state"}                  |
| {"op": "status"}                                             | {"ok", "status": model of supervisor.health}       |
| {"op": "stop", "mode": null or a mode, "force": bool}        | {"ok"}; the connection closes when all is gone     |
| {"op": "restart", "child": name or account}                  | {"ok", "child"}; also takes a child out of FATAL   |
| {"op": "worker", "account", "name", "args": {}, "wait_s": 5} | {"ok", "delivered", "answered", "result"}          |
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from gridbot.version import __version__
from supervisor.children.child import Child, ChildKind
from supervisor.children.policy import ProcessState, Restart

if TYPE_CHECKING:
    from supervisor.process.loop import Supervisor

__all__ = ["Operations"]

Json = dict[str, Any]

STOP_MODES = ("keep", "cancel", "flatten")
COMMAND_WAIT_S = 5.0


class Operations:
    """Answers requests on behalf of a supervisor, and keeps the commands that wait for a worker's result."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Json]] = {}

    async def handle(self, request: Json) -> Json:
        answer = await self._answer(request)
        kept_by_worker = request["op"] == "worker" and answer.get("delivered")
        if request["op"] in ("stop", "restart", "worker") and not kept_by_worker:
            name = str(request.get("name", "")) if request["op"] == "worker" else str(request["op"])
            self._supervisor.journal.command(name, {k: v for k, v in request.items() if k != "op"}, answer)
        return answer

    async def _answer(self, request: Json) -> Json:
        match request["op"]:
            case "ping":
                state = self._supervisor.status()["supervisor"]["state"]
                return {"ok": True, "pid": os.getpid(), "version": __version__, "state": state}
            case "status":
                return {"ok": True, "status": self._supervisor.status()}
            case "stop":
                return self._stop(request)
            case "restart":
                return self._restart(str(request.get("child", "")))
            case "worker":
                return await self._worker(request)
            case other:
                return _refused(f"unknown request {other!r}: expected ping, status, stop, restart or worker")

    def on_answer(self, message: Json) -> None:
        """A worker's answer to a command: {"type": "answer", "id": n, "ok": bool, "result" or "error": ...}."""
        waiting = self._waiting.pop(int(message.get("id", 0)), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _stop(self, request: Json) -> Json:
        mode = request.get("mode")
        if mode is not None and mode not in STOP_MODES:
            return _refused(f"expected a mode of {', '.join(STOP_MODES)}, got {mode!r}")
        self._supervisor.stop(mode, force=bool(request.get("force")))
        return {"ok": True}

    def _restart(self, name: str) -> Json:
        child = self._find(name)
        if child is None:
            return _refused(self._unknown(name))
        if self._supervisor.status()["supervisor"]["state"] == "stopping":
            return _refused("the supervisor is stopping")
        self._supervisor.advance(child, Restart("restart asked for by an operator"))
        return {"ok": True, "child": child.spec.name}

    async def _worker(self, request: Json) -> Json:
        account, name = str(request.get("account", "")), str(request.get("name", ""))
        child = self._find(account)
        if child is None or child.spec.kind is not ChildKind.WORKER:
            return _refused(self._unknown(account))
        if child.state.process is not ProcessState.RUNNING:
            return _refused(f"the worker of {account} is {child.state.process}: it takes commands when RUNNING")
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        command = {"type": "command", "id": number, "name": name, "args": request.get("args") or {}}
        try:
            if not child.send(command):
                return _refused(f"the worker of {account} does not take commands at the moment")
            answer = await asyncio.wait_for(future, float(request.get("wait_s", COMMAND_WAIT_S)))
        except TimeoutError:
            return {"ok": True, "delivered": True, "answered": False, "result": None}
        finally:
            self._waiting.pop(number, None)
        if not answer.get("ok", True):
            return _refused(str(answer.get("error") or f"the worker of {account} refused {name!r}"))
        return {"ok": True, "delivered": True, "answered": True, "result": answer.get("result")}

    def _find(self, name: str) -> Child | None:
        return next((c for c in self._supervisor.children if name and name in (c.spec.name, c.spec.account)), None)

    def _unknown(self, name: str) -> str:
        known = ", ".join(child.spec.account or child.spec.name for child in self._supervisor.children)
        return f"no process or account {name!r} here; there are {known}"


def _refused(text: str) -> Json:
    return {"ok": False, "error": text}
