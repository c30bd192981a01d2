"""One connection of a stream, from its opening to its end: the listener of one `Line`, and what is known of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.bybit.endpoints import Credentials
from gridbot.bybit.private_frames import UNREADABLE
from gridbot.bybit.raw_fields import FieldError
from gridbot.bybit.socket_line import Line
from gridbot.bybit.stream_talk import PING, Topics, reason, sign_in, subscription, withdrawal
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import shown
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.exchange.stream_news import ConnectionState

__all__ = ["Deliver", "Life", "Manners"]

log = logging.getLogger(__name__)

ADDED = "added"
"""The request id of topics that come or go while a connection is up."""

Deliver = Callable[[str, dict[str, Any], int, bool], None]
"""Takes a message of a topic: topic, frame, when it came (monotonic ns), and whether the next one is at hand already.

Raises FieldError for what cannot be read."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a connection of a stream is opened. Without credentials nothing is signed in.

    A sign-in holds for `expire_s` of the exchange's clock, which is ours and `clock_offset_ms`.
    """

    name: str
    requests: Topics
    credentials: Credentials | None
    expire_s: int
    clock_offset_ms: Callable[[], int]
    optional: frozenset[str] = frozenset()
    """Requests that may be refused: the connection goes on without them."""


class Life:
    """Topics are asked for once the connection is up, on a private stream once the sign-in is confirmed: so a refused
    sign-in is noticed, and nothing races with its answer. Once `is_over`, whatever still comes is ignored.
    """

    def __init__(self, manners: Manners, deliver: Deliver, changed: Callable[[], None], now_s: float) -> None:
        self.state = ConnectionState.CONNECTING
        self.state_s = now_s
        self.alive_s = now_s
        self.message_s: float | None = None
        self.messages = 0
        self.error: ExchangeError | None = None
        self.is_over = False
        self.line: Line | None = None
        self._manners = manners
        self._unconfirmed = dict.fromkeys(manners.requests)
        self.refused: dict[str, str] = {}
        """Optional requests that were refused, and why."""
        self._unreadable = 0
        self._deliver = deliver
        self._changed = changed

    # ------------------------------------------------------------------ what the line tells (`LineListener`)

    def on_open(self) -> None:
        """The connection is up."""
        if self.is_over:
            return
        self.alive_s = monotonic_s()
        self._become(ConnectionState.SUBSCRIBING)
        manners = self._manners
        if manners.credentials is None:
            self._subscribe()
            return
        expires_ms = wall_ms() + manners.clock_offset_ms() + manners.expire_s * 1000
        self._send(sign_in(manners.credentials.api_key, manners.credentials.api_secret, expires_ms))

    def on_message(self, data: bytes, received_ns: int) -> None:
        """A message of a topic, or an answer to what was sent."""
        if self.is_over:
            return
        line = self.line
        has_more = line is None or line.has_more
        try:
            frame = read_json(data)
            if type(frame) is not dict:
                raise FieldError(f"expected an object, got {shown(frame)}")
            topic = frame.get("topic")
            if type(topic) is not str:
                self._on_answer(frame)
                return
            self.alive_s = self.message_s = received_ns / 1e9
            self.messages += 1
            self._deliver(topic, frame, received_ns, has_more)
        except (JsonMistake, FieldError) as mistake:
            self._note_unreadable(mistake, received_ns, has_more)

    def on_pong(self) -> None:
        """The other side answers; it gets Bybit's own ping too, which keeps a connection from being idle."""
        if self.is_over:
            return
        self.alive_s = monotonic_s()
        self._send(PING)

    def on_end(self, error: ExchangeError) -> None:
        """The connection is over."""
        if self.is_over:
            return
        if self.error is None:  # the first error is the cause, those that follow are its consequences
            self.error = error
        self._become(ConnectionState.LOST)

    # ------------------------------------------------------------------ topics that come and go

    def also(self, topics: Sequence[str]) -> None:
        """Ask for more topics, which the manners have already; a refusal costs them alone."""
        if self.state in (ConnectionState.SUBSCRIBING, ConnectionState.READY):
            self._send(subscription(ADDED, topics))

    def no_more(self, topics: Sequence[str]) -> None:
        """Ask for topics no more, which the manners do not have any more."""
        if self.state in (ConnectionState.SUBSCRIBING, ConnectionState.READY):
            self._send(withdrawal(ADDED, topics))

    # ------------------------------------------------------------------ inside

    def _note_unreadable(self, why: Exception, received_ns: int, has_more: bool) -> None:
        """Tell of it, less often when there are many. On the private stream something was missed."""
        self._unreadable += 1
        if self._unreadable & (self._unreadable - 1) == 0:
            name = self._manners.name
            log.warning("%s stream: a frame cannot be read (%d so far): %s", name, self._unreadable, why)
        self.alive_s = self.message_s = received_ns / 1e9
        self.messages += 1
        self._deliver(UNREADABLE, {}, received_ns, has_more)

    def _on_answer(self, frame: dict[str, Any]) -> None:
        """Answers to what we sent: pong, auth, subscribe."""
        self.alive_s = monotonic_s()
        operation = frame.get("op")
        if operation == "auth":
            if frame.get("success") is True:
                self._subscribe()
            else:
                self._refused("sign-in", frame, ErrorKind.AUTH)
        elif operation == "subscribe" and frame.get("req_id") == ADDED:
            if frame.get("success") is not True:
                log.warning("%s stream: topics refused: %s", self._manners.name, reason(frame, self._secrets()))
        elif operation == "subscribe":
            request = self._answered(frame.get("req_id"))
            if frame.get("success") is True:
                self._confirm(request)
            elif request in self._manners.optional:
                self.refused[request] = reason(frame, self._secrets())
                log.warning("%s stream: no %s: %s", self._manners.name, request, self.refused[request])
                self._confirm(request)
            else:
                self._refused("subscription", frame, ErrorKind.PARAM)

    def _subscribe(self) -> None:
        for request_id, topics in self._manners.requests.items():
            self._send(subscription(request_id, topics))

    def _answered(self, request_id: object) -> str:
        """Which request an answer is about; Bybit's private streams may leave the id out, and answer in their order."""
        named = request_id if isinstance(request_id, str) else ""
        return named if named in self._unconfirmed else next(iter(self._unconfirmed), "")

    def _confirm(self, request: str) -> None:
        self._unconfirmed.pop(request, None)
        if not self._unconfirmed and self.state is ConnectionState.SUBSCRIBING:
            self._become(ConnectionState.READY)

    def _refused(self, what: str, frame: dict[str, Any], kind: ErrorKind) -> None:
        self.on_end(make_error(f"{what} refused: {reason(frame, self._secrets())}", kind))
        if self.line is not None:
            self.line.abandon()

    def _secrets(self) -> tuple[str, ...]:
        credentials = self._manners.credentials
        return (credentials.api_secret, credentials.api_key) if credentials else ()

    def _send(self, text: str) -> None:
        if self.line is not None:
            self.line.send(text)

    def _become(self, state: ConnectionState) -> None:
        if self.state is ConnectionState.LOST:
            return
        self.state, self.state_s = state, monotonic_s()
        self._changed()
