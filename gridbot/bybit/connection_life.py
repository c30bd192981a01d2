"""What is known of one connection: written by pybit's threads, read by the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridbot.bybit.clocks import monotonic_s
from gridbot.bybit.stream_socket import Topics
from gridbot.exchange.failures import ExchangeError
from gridbot.exchange.stream_news import ConnectionState

__all__ = ["Life"]


class Life:
    """The listener of one socket. Plain attributes: each has one writer, and reading an old value is harmless.

    Once `is_over`, a thread that has not noticed may still call it; its frames are ignored.
    """

    def __init__(
        self,
        requests: Topics,
        deliver: Callable[[str, dict[str, Any], int], None],
        changed: Callable[[], None],
        now_s: float,
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.state_s = now_s
        self.alive_s = now_s
        self.message_s: float | None = None
        self.messages = 0
        self.error: ExchangeError | None = None
        self.is_over = False
        self._unconfirmed = dict.fromkeys(requests)
        self._deliver = deliver
        self._changed = changed

    # Called by the socket, in its thread (`SocketListener`).

    def on_open(self) -> None:
        self.on_alive()
        self._become(ConnectionState.SUBSCRIBING)

    def on_frame(self, topic: str, frame: dict[str, Any], received_ns: int) -> None:
        if self.is_over:
            return
        self.alive_s = self.message_s = received_ns / 1e9
        self.messages += 1
        self._deliver(topic, frame, received_ns)

    def on_alive(self) -> None:
        self.alive_s = monotonic_s()

    def on_confirmed(self, request_id: str) -> None:
        if request_id not in self._unconfirmed:
            request_id = next(iter(self._unconfirmed), "")
        self._unconfirmed.pop(request_id, None)
        if not self._unconfirmed:
            self._become(ConnectionState.READY)

    def on_lost(self, error: ExchangeError) -> None:
        if self.error is None:  # the first error is the cause, those that follow are its consequences
            self.error = error
        self._become(ConnectionState.LOST)

    def _become(self, state: ConnectionState) -> None:
        if self.state is ConnectionState.LOST:
            return
        self.state, self.state_s = state, monotonic_s()
        self._changed()
