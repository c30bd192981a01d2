"""One stream across its connections: the one that is up now, since when none was, and when to try again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.connection_life import Life
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.mailbox import Mailbox, PrivateFrame, TickerMerger
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.stream_socket import BybitSocket, Topics
from gridbot.bybit.watchdog import ConnectionView, backoff_s, why_dead
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.stream_news import ConnectionHealth, ConnectionState, Gap, StreamKind

__all__ = ["StreamConnection"]

log = logging.getLogger(__name__)


class StreamConnection:
    """Makes the sockets of one stream, one after another, with a new `Life` for each. Runs on the loop.

    `step` does what is due and returns the seconds after which it must be called again at the latest.
    """

    def __init__(
        self,
        kind: StreamKind,
        requests: Topics,
        make_socket: Callable[[Life], BybitSocket],
        mailbox: Mailbox,
        changed: Callable[[], None],
        settings: StreamSettings,
        horizon: Horizon,
    ) -> None:
        self.kind = kind
        self._horizon = horizon
        self.gaps: list[Gap] = []
        self.reconnects = 0
        self.ticker_s: dict[str, float] = {}
        self.ignored_frames = 0
        self._requests = requests
        self._make_socket = make_socket
        self._mailbox = mailbox
        self._changed = changed
        self._limits = settings.limits
        self._jitter = settings.jitter
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
        """Of the connection there is; LOST while there is none."""
        return self._life.state if self._life is not None else ConnectionState.LOST

    def connect(self) -> None:
        """Start a new connection; returns at once."""
        deliver = self._deliver_public(TickerMerger(self._horizon)) if self.kind == "public" else self._deliver_private
        self._life = Life(self._requests, deliver, self._changed, monotonic_s())
        self.socket = self._make_socket(self._life)

    def step(self, now_s: float) -> float:
        """Give up a dead connection, reconnect when that is due, report the gap of one that is back."""
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
            if life.messages > sum(len(topics) for topics in self._requests.values()):  # more than snapshots
                self._quiet_rebuilds = 0
        return self._limits.check_s

    def failure(self) -> ExchangeError:
        """Why the connection is lost."""
        error = self._life.error if self._life is not None else self.error
        return error or make_error(f"the {self.kind} stream is not connected", ErrorKind.RETRY)

    def close(self) -> BybitSocket | None:
        """Stop listening; the socket that is left to be closed, if there is one."""
        if self._life is not None:
            self._life.is_over = True
        self._life, left, self.socket = None, self.socket, None
        return left

    def health(self, now_s: float) -> ConnectionHealth:
        """`now_s` is monotonic."""
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
        self._retry_s = now_s + backoff_s(self._failures, self._jitter(), self._limits)
        if self._down_since_ms is None:
            self._down_since_s = now_s
            self._down_since_ms = wall_ms() - int((now_s - heard_s) * 1000)
        log.warning(
            "%s stream given up (%s); next try in %.1f s", self.kind, self.error or reason, self._retry_s - now_s
        )

    def _is_back(self) -> None:
        started_ms = self._down_since_ms
        assert started_ms is not None
        self._down_since_ms = self._down_since_s = None
        self.reconnects += 1
        self.gaps.append(Gap(self.kind, started_ms, wall_ms()))
        self._mailbox.wake()
        log.info("%s stream is back", self.kind)

    # In pybit's threads.

    def _deliver_private(self, topic: str, frame: dict[str, Any], received_ns: int) -> None:
        try:
            sent_ms = self._horizon.frame_time(frame.get("creationTime"))
        except FieldError:
            sent_ms = wall_ms()  # only wallets have no time of their own, and this one came just now
        self._mailbox.put_private(PrivateFrame(topic, frame.get("data"), sent_ms, received_ns))

    def _deliver_public(self, merger: TickerMerger) -> Callable[[str, dict[str, Any], int], None]:
        def deliver(topic: str, frame: dict[str, Any], received_ns: int) -> None:
            name, _, symbol = topic.partition(".")
            if name == "publicTrade" and isinstance(rows := frame.get("data"), list):
                self._mailbox.put_trades(rows)
            if name != "tickers":
                return
            ticker = merger.merge(symbol, frame, received_ns)
            self.ignored_frames = merger.ignored
            if ticker is not None:
                self.ticker_s[symbol] = received_ns / 1e9
                self._mailbox.put_ticker(symbol, ticker)

        return deliver
