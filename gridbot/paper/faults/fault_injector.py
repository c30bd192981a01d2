"""Carries out the faults that a plan decides on: clocks, sockets, frames. A shell around `faults`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import time

from gridbot.paper.faults.fault_config import DropMode, FaultConfig, FaultKind
from gridbot.paper.faults.fault_plan import FaultPlan, OutFrame
from gridbot.paper.streams.connections import Connection, Hub

__all__ = ["Faults", "cut"]

log = logging.getLogger("gridbot.paper")


class Faults:
    """The plan, with the clock that it is asked by."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self._started = time.monotonic()

    def elapsed_s(self) -> float:
        """Seconds since the exchange started."""
        return time.monotonic() - self._started

    def add(self, fault: FaultConfig) -> None:
        """Add a rule whose times count from now."""
        self.plan.add(fault, self.elapsed_s())

    def on_request(self, endpoint: str, account: str) -> FaultConfig | None:
        fault = self.plan.on_request(endpoint, account, self.elapsed_s()) if self.plan else None
        if fault is not None:
            log.warning("fault %s strikes %s of %s", fault.kind.value, endpoint, account or "nobody")
        return fault

    def frames(self, topic: str, account: str, frame: bytes) -> list[OutFrame]:
        return self.plan.on_frame(topic, account, frame, self.elapsed_s())

    def skew_ms(self) -> int:
        return self.plan.skew_ms(self.elapsed_s()) if self.plan else 0

    async def drop(self, hub: Hub, fault: FaultConfig) -> None:
        """End the connections that a fault means, in its way."""
        mode = DropMode.GOING_AWAY if fault.kind is FaultKind.RESTART else fault.mode
        for connection in list(hub.connections):
            account = connection.account.name if connection.account is not None else ""
            if fault.channel in ("", connection.kind.value) and fault.account in ("", account):
                log.warning("fault %s ends %s connection %s", mode.value, connection.kind.value, connection.conn_id)
                await _end(connection, mode)


async def _end(connection: Connection, mode: DropMode) -> None:
    if mode is DropMode.SILENT:
        connection.mute()
    elif mode is DropMode.RESET:
        peer = connection.transport.get_extra_info("socket")
        if peer is not None:
            reset_on_close(peer)
        connection.transport.abort()
    else:
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            await asyncio.wait_for(connection.socket.close(code=int(mode.value)), 0.2)


def reset_on_close(peer: socket.socket) -> None:
    """Make the kernel answer with RST when this socket is closed."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut(transport: asyncio.BaseTransport | None) -> None:
    """Close an HTTP connection without an answer."""
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
