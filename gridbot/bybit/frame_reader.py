"""websocket-client's app with a faster way of reading frames (docs/platform.md 2)."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Any

import websocket
from websocket._dispatcher import DispatcherBase

__all__ = ["SocketApp"]

READ_SIZE = 16_384


class _Reader(DispatcherBase):
    """Reads what the kernel has at once instead of header, length and payload one by one.

    websocket-client's frame buffer keeps what is more than it asked for, but its own dispatchers then wait for the
    socket although a whole frame may lie in that buffer already; this one looks there first (and, with TLS, in the
    layer below).
    """

    def read(self, sock: Any, read_callback: Callable[[], bool], check_callback: Callable[[], bool]) -> None:
        connection = self.app.sock
        raw = connection.sock if connection is not None else None
        if connection is None or raw is None:
            return
        buffer = connection.frame_buffer
        receive: Callable[[int], bytes] = connection._recv
        buffer.recv = lambda _: receive(READ_SIZE)
        tls_pending: Callable[[], int] = getattr(raw, "pending", int)
        with selectors.DefaultSelector() as selector:
            selector.register(raw, selectors.EVENT_READ)
            while self.app.keep_running:
                if buffer.recv_buffer or tls_pending():
                    if not read_callback():
                        break
                    continue
                if selector.select(self.ping_timeout) and not read_callback():
                    break
                check_callback()


class SocketApp(websocket.WebSocketApp):
    """A `WebSocketApp` that reads with `_Reader`."""

    def create_dispatcher(self, ping_timeout: float | None, *_: Any, **__: Any) -> Any:
        """What `run_forever` reads with."""
        return _Reader(self, ping_timeout or 10)
