"""Orders over the trade WebSocket: one connection after another, and the requests on it.

What becomes of a request, `trade_line.step` decides; here frames are sent and read, futures settled, and a connection
that is lost is followed by another, by the back-off of the streams. A request is given to a connection once, never
again to the next one: what is not answered when its connection ends is *unresolved*.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from gridbot import background
from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.line_choice import dial_line
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.socket_line import Dial, Line, LineSettings
from gridbot.bybit.stream_settings import StreamSettings
from gridbot.bybit.stream_talk import sign_in
from gridbot.bybit.trade_frames import OPERATIONS, PING, SignInAnswer, TradeAnswer, order_frame, read_frame
from gridbot.bybit.trade_line import (
    Answered,
    Effect,
    Ended,
    Event,
    Heard,
    Lost,
    Opened,
    Refusal,
    Sent,
    Settled,
    SignedIn,
    SignIn,
    Time,
    TradeLine,
    step,
)
from gridbot.bybit.watchdog import backoff_s
from gridbot.doors.bounded_json import JsonMistake
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.order_entry import EntryHealth, OrderEntry
from gridbot.exchange.requests import RateLimit
from gridbot.exchange.stream_news import ConnectionState
from gridbot.lease.lease_watch import RECV_WINDOW_MS, LeaseWatch

__all__ = ["TradeSocket"]

log = logging.getLogger(__name__)

Outcome = dict[str, Any] | ExchangeError
MAX_ANSWER_BYTES = 1 << 20
STALL_S, READ_FIRST_S = 1.0, 0.1
"""After our own loop stood still for so long, what lies in the socket is read for a moment before anything is late."""
UNRESOLVED = "the trade socket was closed before the answer"
NO_ROOM = "it waits: this address has opened as many connections in five minutes as the exchange lets it"


class TradeSocket:
    """The account's trade connection. `start` returns at once; requests may be sent while it `is_ready`.

    `name` begins the ids of its requests (at most 20 characters, another one for each process). An answer may take
    `timeout` s; the exchange refuses what it gets later than `recv_window` ms. The quotas that answers state go to
    `limits`, by endpoint; `refusal` makes the error of a code. `on_back` is called when there is a connection again
    after one that was lost with requests under way, with their number. `exchange_ms` is the exchange's time. With a
    `lease` of a fleet an order leaves only while that holds, and `recv_window` is the fleet's.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        name: str,
        limits: MutableMapping[str, RateLimit],
        refusal: Refusal,
        on_back: Callable[[int], None],
        exchange_ms: Callable[[], int] = wall_ms,
        lease: LeaseWatch | None = None,
        timeout: float = 10.0,
        recv_window: int = 5000,
        settings: StreamSettings | None = None,
        dial: Dial = dial_line,
    ) -> None:
        self._url = url
        self._credentials = credentials
        self._name = name
        self._limits = limits
        self._refusal = refusal
        self._on_back = on_back
        self._exchange_ms = exchange_ms
        self._lease = lease
        self._timeout_s = timeout
        self._recv_window_ms = recv_window if lease is None else RECV_WINDOW_MS
        self._settings = settings or StreamSettings()
        self._dial = dial
        self._numbers = itertools.count(1)
        self._pending: dict[str, tuple[str, asyncio.Future[Outcome]]] = {}
        """Endpoint and answer by request id."""
        self._connection: _Connection | None = None
        self._changed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._failures = 0
        self._retry_s = 0.0
        self._down_since_s: float | None = None
        self._reconnects = 0
        self._unresolved = 0
        self._error = ""

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Connect, and stay so, in the background."""
        self._down_since_s = monotonic_s()
        self._connect_if_there_is_room(monotonic_s())
        self._watch = background.start(self._keep_alive(), name="the watchdog of the trade socket")

    async def stop(self) -> None:
        """Close it; what is under way is unresolved."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.line.leave()
        for request_id in list(self._pending):
            self._settle(request_id, make_error(UNRESOLVED, ErrorKind.AMBIGUOUS))

    # ------------------------------------------------------------------ requests

    @property
    def is_ready(self) -> bool:
        """Whether a request may be sent now."""
        connection = self._connection
        return connection is not None and connection.life.takes_orders and connection.line.is_open

    def send(self, endpoint: str, params: Mapping[str, Any]) -> asyncio.Future[Outcome]:
        """Send a request now: its answer, an envelope with retCode 0, or the error. Only while it `is_ready`."""
        connection = self._connection
        if connection is None:
            raise RuntimeError("expected a trade connection, got none")
        request_id = f"{self._name}-{next(self._numbers):x}"
        operation = OPERATIONS[endpoint]
        frame = order_frame(request_id, operation, params, self._exchange_ms(), self._recv_window_ms)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        lease = self._lease
        if lease is not None and not lease.may_send():
            answer.set_result(lease.refusal())
            return answer
        self._pending[request_id] = endpoint, answer
        self._happened(connection, Sent(request_id, operation))
        connection.line.send(frame)
        return answer

    def health(self) -> EntryHealth:
        """As it is now."""
        down_s = 0.0 if self._down_since_s is None else max(0.0, monotonic_s() - self._down_since_s)
        state = self._connection.life.state if self._connection is not None else ConnectionState.LOST
        way = OrderEntry.WEBSOCKET if self.is_ready else OrderEntry.HTTP
        return EntryHealth(way, state, down_s, self._reconnects, self._error)

    # ------------------------------------------------------------------ what the connection tells

    def opened(self, connection: _Connection) -> None:
        """It is up."""
        self._happened(connection, Opened())

    def heard(self, connection: _Connection) -> None:
        """A pong."""
        self._happened(connection, Heard())

    def told(self, connection: _Connection, data: bytes) -> None:
        """A frame has come."""
        try:
            frame = read_frame(data)
        except (JsonMistake, FieldError) as error:
            # Whatever it was to answer waits for its time, and is looked up.
            log.warning("a frame of the trade socket cannot be read: %s", error)
            self._happened(connection, Heard())
            return
        if isinstance(frame, TradeAnswer):
            pending = self._pending.get(frame.request_id)
            if pending is not None and frame.quota is not None:
                self._limits[pending[0]] = frame.quota
            self._happened(connection, Answered(frame))
        elif isinstance(frame, SignInAnswer):
            self._happened(connection, SignedIn(frame.code, frame.text))
        else:
            self._happened(connection, Heard())

    def ended(self, connection: _Connection, error: ExchangeError) -> None:
        """It is over."""
        self._happened(connection, Ended(error))

    # ------------------------------------------------------------------ inside

    def _happened(self, connection: _Connection, event: Event) -> None:
        if connection is not self._connection:
            return  # of an earlier one, whose requests are settled
        before = connection.life.state
        for effect in step(connection.life, event, monotonic_s()):
            self._carry_out(connection, effect)
        if before is not ConnectionState.READY and connection.life.state is ConnectionState.READY:
            self._is_up()

    def _carry_out(self, connection: _Connection, effect: Effect) -> None:
        if isinstance(effect, Settled):
            self._settle(effect.request_id, effect.outcome)
        elif isinstance(effect, SignIn):
            expires_ms = self._exchange_ms() + self._settings.private_auth_expire_s * 1000
            key = self._credentials
            connection.line.send(sign_in(key.api_key, key.api_secret, expires_ms))
        else:
            self._lose(connection, effect)

    def _settle(self, request_id: str, outcome: Outcome) -> None:
        _, answer = self._pending.pop(request_id)
        if not answer.done():  # whoever wanted it may be gone
            answer.set_result(outcome)

    def _connect_if_there_is_room(self, now_s: float) -> None:
        wait_s = self._settings.room.wait_s("trade", now_s)
        self._retry_s = now_s + wait_s
        if wait_s:
            self._error = NO_ROOM
        else:
            self._connect()

    def _connect(self) -> None:
        limits = self._settings.limits
        life = TradeLine(limits, self._timeout_s, self._refusal, monotonic_s())
        self._settings.room.opened(monotonic_s())
        self._connection = connection = _Connection(self, life)
        connection.line = self._dial(
            self._url,
            connection,
            LineSettings(
                ping_interval_s=self._settings.ping_interval_s,
                ping_timeout_s=self._settings.ping_timeout_s,
                connect_s=limits.connect_s,
                max_message_bytes=MAX_ANSWER_BYTES,
            ),
        )

    def _is_up(self) -> None:
        self._down_since_s = None
        self._reconnects += self._failures > 0
        log.info("the trade socket is up; orders go by it")
        unresolved, self._unresolved = self._unresolved, 0
        if unresolved:
            self._on_back(unresolved)

    def _lose(self, connection: _Connection, lost: Lost) -> None:
        self._connection = None
        connection.line.abandon()
        now_s = monotonic_s()
        if connection.was_up_s(now_s) > self._settings.limits.settled_s:
            self._failures = 0
        self._failures += 1
        self._retry_s = now_s + backoff_s(self._failures, self._settings.jitter(), self._settings.limits)
        self._unresolved += lost.unresolved
        self._error = str(lost.error)
        if self._down_since_s is None:
            self._down_since_s = now_s
        log.warning(
            "the trade socket is given up (%s) with %d requests under way; orders go by HTTP, next try in %.1f s",
            lost.error,
            lost.unresolved,
            self._retry_s - now_s,
        )
        self._changed.set()

    async def _keep_alive(self) -> None:
        ping_s = due_s = monotonic_s()
        while True:
            self._changed.clear()
            if monotonic_s() - due_s > STALL_S:
                await asyncio.sleep(READ_FIRST_S)
            now_s = monotonic_s()
            try:
                if self._connection is None and now_s >= self._retry_s:
                    self._connect_if_there_is_room(now_s)
                if self._connection is not None:
                    self._happened(self._connection, Time())
                if self.is_ready and self._connection is not None and now_s - ping_s >= self._settings.ping_interval_s:
                    ping_s = now_s
                    self._connection.line.send(PING)
            except Exception as error:  # noqa: BLE001 - reported; the watchdog must go on
                background.report("the watchdog of the trade socket", error)
            connection = self._connection
            wait_s = max(0.0, self._retry_s - now_s) if connection is None else connection.life.due_s(now_s)
            due_s = now_s + wait_s
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue


class _Connection:
    """The listener of one line."""

    line: Line

    def __init__(self, socket: TradeSocket, life: TradeLine) -> None:
        self._socket = socket
        self.life = life
        self.up_s: float | None = None

    def was_up_s(self, now_s: float) -> float:
        """For how long orders could go by it."""
        return 0.0 if self.up_s is None else now_s - self.up_s

    def on_open(self) -> None:
        self._socket.opened(self)

    def on_message(self, data: bytes, received_ns: int) -> None:
        self._socket.told(self, data)
        if self.up_s is None and self.life.state is ConnectionState.READY:
            self.up_s = monotonic_s()

    def on_pong(self) -> None:
        self._socket.heard(self)

    def on_end(self, error: ExchangeError) -> None:
        self._socket.ended(self, error)
