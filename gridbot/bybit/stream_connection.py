"""One stream across its connections: who listens now, since when nobody did, when to try again.

A `Life` is what is known of one connection; pybit's threads write to it, the loop reads it. A `StreamConnection` goes
from life to life. An abandoned life may still be written to by a thread that has not noticed; nobody reads it any more.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from gridbot.bybit.mailbox import Mailbox, PrivateFrame, TickerMerger
from gridbot.bybit.stream_socket import BybitSocket, Topics
from gridbot.bybit.watchdog import ConnectionView, Limits, backoff_s, why_dead
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.stream_news import ConnectionHealth, ConnectionState, Gap, StreamKind

__all__ = ["Life", "StreamConnection"]

log = logging.getLogger(__name__)


class Life:
    """Listener of one socket. Plain attributes: each has one writer, and reading an old value is harmless."""

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

    # Told by the socket, in its thread.

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
        self.alive_s = time.monotonic()

    def on_confirmed(self, request_id: str) -> None:
        if request_id not in self._unconfirmed:
            request_id = next(iter(self._unconfirmed), "")
        self._unconfirmed.pop(request_id, None)
        if not self._unconfirmed:
            self._become(ConnectionState.READY)

    def on_lost(self, error: ExchangeError) -> None:
        if self.error is None:  # the first reason is the reason; what follows are its consequences
            self.error = error
        self._become(ConnectionState.LOST)

    def _become(self, state: ConnectionState) -> None:
        if self.state is ConnectionState.LOST:
            return
        self.state, self.state_s = state, time.monotonic()
        self._changed()


class StreamConnection:
    """`kind` and how to make a socket for it; everything here runs on the loop.

    `step` does what is due and says how many seconds later it wants to be called again at the latest.
    """

    def __init__(
        self,
        kind: StreamKind,
        requests: Topics,
        make_socket: Callable[[Life], BybitSocket],
        mailbox: Mailbox,
        changed: Callable[[], None],
        limits: Limits,
        luck: Callable[[], float],
    ) -> None:
        self.kind = kind
        self.gaps: list[Gap] = []
        self.reconnects = 0
        self.ticker_s: dict[str, float] = {}
        self.ignored_frames = 0
        self._requests = requests
        self._make_socket = make_socket
        self._mailbox = mailbox
        self._changed = changed
        self._limits = limits
        self._luck = luck
        self._life: Life | None = None
        self.socket: BybitSocket | None = None
        self._failures = 0
        self._quiet_rebuilds = 0
        self._retry_s = 0.0
        self._down_since_ms: int | None = None
        self._down_since_s: float | None = None
        self.error: ExchangeError | None = None

    # ------------------------------------------------------------------ on the loop

    @property
    def state(self) -> ConnectionState:
        return self._life.state if self._life is not None else ConnectionState.LOST

    def connect(self) -> None:
        """Begin a new life; returns at once."""
        deliver = self._deliver_public(TickerMerger()) if self.kind == "public" else self._deliver_private
        self._life = Life(self._requests, deliver, self._changed, time.monotonic())
        self.socket = self._make_socket(self._life)

    def step(self, now_s: float) -> float:
        """Give up what is dead, revive what is due, report the gap of what is back."""
        life = self._life
        if life is None:
            if now_s < self._retry_s:
                return self._retry_s - now_s
            self.connect()
            return self._limits.check_s
        reason = why_dead(self._view(life, now_s), self._limits)
        if reason is not None:
            self._lose(life, reason, now_s)
            return self._retry_s - now_s
        if life.state is ConnectionState.READY:
            if self._down_since_ms is not None:
                self._is_back()
            if now_s - life.state_s > self._limits.settled_s:
                self._failures = 0
            if life.messages > len(self._requests_topics()):
                self._quiet_rebuilds = 0
        return self._limits.check_s

    def failure(self) -> ExchangeError:
        """Why the present connection is lost."""
        error = self._life.error if self._life is not None else self.error
        return error or make_error(f"the {self.kind} stream is not connected", ErrorKind.RETRY)

    def close(self) -> BybitSocket | None:
        """End the present life; the socket that is left to be closed."""
        if self._life is not None:
            self._life.is_over = True
        self._life, left, self.socket = None, self.socket, None
        return left

    def health(self, now_s: float) -> ConnectionHealth:
        life = self._life
        message_s = life.message_s if life is not None else None
        return ConnectionHealth(
            is_ready=self.state is ConnectionState.READY,
            state=self.state,
            message_age_s=None if message_s is None else max(0.0, now_s - message_s),
            alive_age_s=None if life is None else max(0.0, now_s - life.alive_s),
            reconnects=self.reconnects,
            down_s=0.0 if self._down_since_s is None else now_s - self._down_since_s,
            error="" if self.error is None else str(self.error),
        )

    # ------------------------------------------------------------------ inside

    def _requests_topics(self) -> list[str]:
        return [topic for topics in self._requests.values() for topic in topics]

    def _view(self, life: Life, now_s: float) -> ConnectionView:
        return ConnectionView(
            state=life.state,
            is_connected=self.socket is not None and self.socket.is_connected(),
            state_age_s=now_s - life.state_s,
            alive_age_s=now_s - life.alive_s,
            message_age_s=now_s - max(life.message_s or 0.0, life.state_s),
            watch_silence=self.kind == "public",
            quiet_rebuilds=self._quiet_rebuilds,
        )

    def _lose(self, life: Life, reason: str, now_s: float) -> None:
        heard_s = life.alive_s if self.kind == "private" else life.message_s or life.state_s
        was_silent = life.state is ConnectionState.READY and self._view(life, now_s).is_connected
        self.error = life.error
        socket = self.close()
        if socket is not None:
            socket.abandon()
        self._failures += 1
        self._quiet_rebuilds = self._quiet_rebuilds + 1 if was_silent else 0
        self._retry_s = now_s + backoff_s(self._failures, self._luck(), self._limits)
        if self._down_since_ms is None:
            self._down_since_s = now_s
            self._down_since_ms = time.time_ns() // 1_000_000 - int((now_s - heard_s) * 1000)
        log.warning(
            "%s stream given up (%s); next try in %.1f s", self.kind, self.error or reason, self._retry_s - now_s
        )

    def _is_back(self) -> None:
        started_ms = self._down_since_ms
        assert started_ms is not None
        self._down_since_ms = self._down_since_s = None
        self.reconnects += 1
        self.gaps.append(Gap(self.kind, started_ms, time.time_ns() // 1_000_000))
        self._mailbox.wake()
        log.info("%s stream is back", self.kind)

    # In pybit's threads.

    def _deliver_private(self, topic: str, frame: dict[str, Any], received_ns: int) -> None:
        sent_ms = frame.get("creationTime")
        self._mailbox.put_private(
            PrivateFrame(topic, frame.get("data"), sent_ms if isinstance(sent_ms, int) else 0, received_ns)
        )

    def _deliver_public(self, merger: TickerMerger) -> Callable[[str, dict[str, Any], int], None]:
        def deliver(topic: str, frame: dict[str, Any], received_ns: int) -> None:
            name, _, symbol = topic.partition(".")
            if name == "publicTrade":
                self._mailbox.put_trades(frame["data"])
            if name != "tickers":
                return
            ticker = merger.merge(symbol, frame, received_ns)
            self.ignored_frames = merger.ignored
            if ticker is not None:
                self.ticker_s[symbol] = received_ns / 1e9
                self._mailbox.put_ticker(symbol, ticker)

        return deliver
