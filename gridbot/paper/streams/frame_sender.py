"""Frames of public topics on their way to the listeners, with the faults on the way."""

from __future__ import annotations

from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.streams.connections import Hub

__all__ = ["FrameSender"]


class FrameSender:
    """Sends a frame to everybody who subscribed to its topic."""

    def __init__(self, hub: Hub, faults: Faults) -> None:
        self._hub = hub
        self._faults = faults

    def has_listeners(self, topic: str) -> bool:
        return bool(self._hub.listeners(topic))

    def send(self, topic: str, frame: bytes, ticker: str = "") -> None:
        """`ticker` names the symbol of a ticker frame, for the stamp."""
        for connection in self._hub.listeners(topic):
            if not self._faults.plan:
                connection.send(frame, ticker=ticker)
                continue
            for out in self._faults.frames(topic, "", frame):
                connection.send_late(out.data, out.delay_s) if out.delay_s else connection.send(out.data, ticker=ticker)
