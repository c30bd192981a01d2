"""One stream across its connections: the one that is up now, since when none was, and when to try again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.connection_life import Deliver, Life, Manners
from gridbot.bybit.event_times import Horizon
from gridbot.bybit.mailbox import Mailbox, PrivateFrame
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.socket_line import Line
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.ticker_merger import TickerMerger
from gridbot.bybit.watchdog import ConnectionView, backoff_s, why_dead
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.stream_news import ConnectionHealth, ConnectionState, Gap, StreamKind

__all__ = ["StreamConnection"]

log = logging.getLogger(__name__)


class StreamConnection:
    """Makes the lines of one stream, one after another, with a new `Life` for each. Runs on the loop.

    `step` does what is due and returns the seconds after which it must be called again at the latest.
    """

    def __init__(
        self,
        kind: StreamKind,
        manners: Manners,
        dial: Callable[[Life], Line],
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
        self._manners = manners
        self._topics = sum(len(topics) for topics in manners.requests.values())
        self._dial = dial
        self._mailbox = mailbox
        self._changed = changed
        self._limits = settings.limits
        self._jitter = settings.jitter
        self._room = settings.room
        self._life: Life | None = None
        self._failures = 0
        self._quiet_rebuilds = 0
        self._retry_s = 0.0
        self._away = (0.0, 0.0)
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
        self._life = life = Life(self._manners, deliver, self._changed, monotonic_s())
        self._room.opened(monotonic_s())
        life.line = self._dial(life)

    def also(self, topics: Sequence[str]) -> None:
        """More topics are wanted; `manners.requests` has them for the next connection."""
        if self._life is not None:
            self._life.also(topics)

    def no_more(self, topics: Sequence[str]) -> None:
        """Topics are not wanted any more."""
        if self._life is not None:
            self._life.no_more(topics)

    def step(self, now_s: float) -> float:
        """Give up a dead connection, reconnect when that is due, report the gap of one that is back."""
        life = self._life
        if life is None:
            if now_s < self._retry_s:
                return self._retry_s - now_s
            if wait_s := self._room.wait_s(self.kind, now_s):
                self._retry_s = now_s + wait_s
                return wait_s
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
            if life.messages > self._topics:  # more than snapshots
                self._quiet_rebuilds = 0
        return self._limits.check_s

    def excuse(self, from_s: float, to_s: float) -> None:
        """Between these times nobody of us listened: no silence of then is the exchange's."""
        self._away = (from_s, to_s)

    def failure(self) -> ExchangeError:
        """Why the connection is lost."""
        error = self._life.error if self._life is not None else self.error
        return error or make_error(f"the {self.kind} stream is not connected", ErrorKind.RETRY)

    @property
    def refused(self) -> Mapping[str, str]:
        """Optional topics that the present connection was refused, and why."""
        return self._life.refused if self._life is not None else {}

    def close(self) -> Line | None:
        """Stop listening; the line that is left to be closed, if there is one."""
        life, self._life = self._life, None
        if life is None:
            return None
        life.is_over = True
        return life.line

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
            is_connected=life.line is not None and life.line.is_open,
            state_age_s=self._age(life.state_s, now_s),
            alive_age_s=self._age(life.alive_s, now_s),
            message_age_s=self._age(max(life.message_s or 0.0, life.state_s), now_s),
            watch_silence=self.kind == "public",
            quiet_rebuilds=self._quiet_rebuilds,
        )

    def _age(self, at_s: float, now_s: float) -> float:
        """Seconds since then in which we listened."""
        from_s, to_s = self._away
        return now_s - at_s - max(0.0, min(to_s, now_s) - max(from_s, at_s))

    def _lose(self, life: Life, reason: str, now_s: float) -> None:
        heard_s = life.alive_s if self.kind == "private" else life.message_s or life.state_s
        was_silent = life.state is ConnectionState.READY and self._view(life, now_s).is_connected
        self.error = life.error
        line = self.close()
        if line is not None:
            line.abandon()
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

    def _deliver_private(self, topic: str, frame: dict[str, Any], received_ns: int, has_more: bool) -> None:
        try:
            sent_ms = self._horizon.frame_time(frame.get("creationTime"))
        except FieldError:
            sent_ms = wall_ms()  # only wallets have no time of their own, and this one came just now
        self._mailbox.put_private(PrivateFrame(topic, frame.get("data"), sent_ms, received_ns), has_more)

    def _deliver_public(self, merger: TickerMerger) -> Deliver:
        tickers, put = "tickers.", self._mailbox.put_ticker

        def deliver(topic: str, frame: dict[str, Any], received_ns: int, has_more: bool) -> None:
            if topic.startswith(tickers):
                ticker = merger.merge(topic[8:], frame, received_ns)
                if ticker is None:
                    self.ignored_frames = merger.ignored
                    return
                self.ticker_s[ticker.symbol] = received_ns / 1e9
                put(ticker, has_more)
            elif topic.startswith("publicTrade.") and isinstance(rows := frame.get("data"), list):
                self._mailbox.put_trades(rows)

        return deliver
