"""How faults end connections: a close frame, a TCP reset, or silence with the connection open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct

from gridbot.paper.faults.fault_config import DropMode, FaultConfig, FaultKind
from gridbot.paper.streams.connections import Connection, Hub

__all__ = ["cut", "drop_connections"]

CLOSE_TIMEOUT_S = 0.2
log = logging.getLogger("gridbot.paper")


async def drop_connections(hub: Hub, fault: FaultConfig) -> None:
    """End the WebSockets that a fault names, in its mode."""
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
            _reset_on_close(peer)
        connection.transport.abort()
    else:
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            await asyncio.wait_for(connection.socket.close(code=int(mode.value)), CLOSE_TIMEOUT_S)


def _reset_on_close(peer: socket.socket) -> None:
    """Make the kernel answer with RST when this socket is closed."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cut(transport: asyncio.BaseTransport | None) -> None:
    """Close an HTTP connection without an answer."""
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
