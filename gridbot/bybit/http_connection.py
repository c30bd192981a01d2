"""One connection, over which one request at a time leaves and is answered."""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from typing import Protocol, cast

from gridbot.bybit.answer_reader import AnswerReader
from gridbot.bybit.carrier import Answer, Broken, CarrierError, NoAnswer, Tell, Unusable

__all__ = ["IDLE_S", "HttpConnection", "Owner", "Trip"]

log = logging.getLogger(__name__)

IDLE_S = 45.0
"""How long an idle connection is taken to be open at the other side, which usually keeps it for a minute or more."""
EARLIER_S = 2.0
"""A connection is given up so long before the other side has said it would."""
WHOLE_ANSWER = 3
"""An answer has to be whole within so many times the time that each wait for bytes may take."""


class Trip:
    """A request on its way, and whom to tell. `deadline_s`: when it is given up while it waits for a connection."""

    __slots__ = ("data", "deadline_s", "is_order", "is_second_try", "tell", "timeout_s")

    def __init__(self, data: bytes, is_order: bool, timeout_s: float, tell: Tell) -> None:
        self.data = data
        self.is_order = is_order
        self.timeout_s = timeout_s
        self.tell = tell
        self.deadline_s = 0.0
        self.is_second_try = False


class Owner(Protocol):
    """Hears of its connections."""

    def on_free(self, connection: HttpConnection) -> None:
        """Its answer is there, and it can take another request."""
        ...

    def on_gone(self, connection: HttpConnection) -> None:
        """It is of no use any more; told once."""
        ...


class HttpConnection(asyncio.Protocol):
    """Free when `trip` is None. `deadline_s`: when whoever waits for bytes on it has waited enough."""

    def __init__(self, owner: Owner, now_s: Callable[[], float]) -> None:
        self.trip: Trip | None = None
        self.deadline_s = 0.0
        self.idle_until_s = 0.0
        self.has_answered = False
        self._owner = owner
        self._now_s = now_s
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._poll = select.poll()
        self._latest_s = 0.0
        self._is_told = False

    @property
    def is_usable(self) -> bool:
        """Whether a request can leave now: the other side has neither closed nor said anything.

        The system is asked: the loop has not looked since this turn began.
        """
        return (
            self._transport is not None
            and not self._transport.is_closing()
            and self._now_s() < self.idle_until_s
            and not self._poll.poll(0)
        )

    def send(self, trip: Trip) -> bool:
        """Write a request whole. False when not one byte of it left, and this connection is of no use."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(trip.data)
        if transport.is_closing():  # the one write was refused at once
            return False
        self._reader.expect()  # behind the write, as all that the answer finds: it comes in another turn
        self.trip = trip
        now_s = self._now_s()
        self._latest_s = now_s + WHOLE_ANSWER * trip.timeout_s
        self.deadline_s = now_s + trip.timeout_s
        return True

    def expire(self) -> None:
        """The time for the answer is over."""
        self._end(NoAnswer("no answer in time" if not self._reader.has_begun else "no whole answer in time"))

    def close_by(self, latest_s: float) -> None:
        """Wait no longer than that for the answer."""
        self._latest_s = min(self._latest_s, latest_s)
        self.deadline_s = min(self.deadline_s, latest_s)

    def leave(self) -> None:
        """Close it: nothing is under way."""
        self._forget()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close it at once."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------ called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self.idle_until_s = self._now_s() + IDLE_S

    def data_received(self, data: bytes) -> None:
        trip = self.trip
        if trip is None:
            if self._is_told:  # it was closed with more to come
                return
            log.info("the exchange sent %d bytes that nobody had asked for: the connection is closed", len(data))
            self.cut()
            return
        try:
            if not self._reader.feed(data):
                self.deadline_s = min(self._now_s() + trip.timeout_s, self._latest_s)
                return
            answer = self._reader.take()
        except Unusable as error:
            self._end(error)
            return
        self._answered(trip, answer)

    def eof_received(self) -> None:
        if self.trip is not None and self._reader.finish():
            try:
                self._answered(self.trip, self._reader.take())
            except Unusable as error:
                self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.eof_received()
        self._end(Broken("the connection broke during a request"))
        self._transport = None

    # ------------------------------------------------------------------ inside

    def _answered(self, trip: Trip, answer: Answer) -> None:
        transport, reader = self._transport, self._reader
        self.trip = None
        self.has_answered = True
        if (
            transport is None
            or reader.ends_connection
            or transport.is_closing()
            or transport.get_write_buffer_size()  # it answers what it has not heard to the end
        ):
            self.leave()
        else:
            told_s = reader.keep_alive_s
            self.idle_until_s = self._now_s() + (IDLE_S if told_s is None else min(IDLE_S, told_s - EARLIER_S))
            self._owner.on_free(self)
        trip.tell(answer)

    def _end(self, error: CarrierError) -> None:
        trip, self.trip = self.trip, None
        self.cut()
        if trip is not None:
            trip.tell(error)

    def _forget(self) -> None:
        if not self._is_told:
            self._is_told = True
            self._owner.on_gone(self)
