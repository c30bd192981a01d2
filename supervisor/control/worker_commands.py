"""Commands for workers: sends one and waits for the worker's answer."""

from __future__ import annotations

import asyncio

from supervisor.children.child import Child
from supervisor.control.socket_protocol import Json, refused

__all__ = ["WorkerCommands"]


class WorkerCommands:
    """Owns the commands that wait for an answer."""

    def __init__(self) -> None:
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Json]] = {}

    async def send(self, worker: Child, name: str, args: Json, wait_s: float) -> Json:
        """The answer to the client. Without an answer in `wait_s` seconds: delivered, but not answered."""
        account = worker.spec.account
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            if not worker.send({"type": "command", "id": number, "name": name, "args": args}):
                return refused(f"the worker of {account} does not take commands at the moment")
            answer = await asyncio.wait_for(future, wait_s)
        except TimeoutError:
            return {"ok": True, "delivered": True, "answered": False, "result": None}
        finally:
            self._waiting.pop(number, None)
        if not answer.get("ok", True):
            return refused(str(answer.get("error") or f"the worker of {account} refused {name!r}"))
        return {"ok": True, "delivered": True, "answered": True, "result": answer.get("result")}

    def on_answer(self, message: Json) -> None:
        """A worker's answer to a command: {"type": "answer", "id": n, "ok": bool, "result" or "error": ...}."""
        waiting = self._waiting.pop(int(message.get("id", 0)), None)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)
