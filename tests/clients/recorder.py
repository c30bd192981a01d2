"""What a client asked of the paper exchange, seen from the exchange: calls with their answers, topics, operations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import orjson

from gridbot.paper.server.paper_server import PaperServer

__all__ = ["Recorder"]


class Recorder:
    """Listens at the two doors of a running exchange. `answers` has every envelope by path."""

    def __init__(self, server: PaperServer) -> None:
        self.answers: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.operations: set[str] = set()
        self.topics: set[str] = set()
        self.refused: list[str] = []
        self._api, self._channels = server.api, server.channels
        self._handle, self._receive = server.api.handle, server.channels.receive
        server.api.handle = self._on_request  # type: ignore[method-assign]
        server.channels.receive = self._on_frame  # type: ignore[method-assign]

    def _on_request(
        self, verb: str, target: str, headers: Mapping[str, str], body: bytes, now_ms: int, remote: str = ""
    ) -> Any:
        reply = self._handle(verb, target, headers, body, now_ms, remote)
        envelope = orjson.loads(reply.body)
        self.answers[target.partition("?")[0]].append(envelope)
        if envelope["retCode"]:
            self.refused.append(f"{verb} {target} {body.decode()}: {envelope['retCode']} {envelope['retMsg']}")
        return reply

    def _on_frame(self, connection: Any, text: str) -> None:
        request = orjson.loads(text)
        if request["op"] == "subscribe":
            self.topics |= set(request["args"])
        self.operations.add(request["op"])
        self._receive(connection, text)
