"""The connections of an account to the exchange: `Carrier` over asyncio, HTTP/1.1, kept alive.

A request leaves in one write, head and body, before `carry` returns, when a connection is free; else it waits for the
first that is free or made. Queries leave `SPARE` free connections to the orders, and take the one that has been idle
longest, which keeps all of them alive; an order takes the one that was used last. At most `WARM` stay open when idle.
Once there was an order, `SPARE` are made again when the other side has closed them, as long as anything is asked.

A connection that is of no use is noticed before it is used (`HttpConnection.is_usable`); a request is written again, on
a new connection, only when not one byte of it left. There are no redirects, cookies, proxies or retries.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from gridbot import background
from gridbot.bybit.carrier import NotSent, Outgoing, Tell
from gridbot.bybit.dialling import Dialler
from gridbot.bybit.http_connection import HttpConnection, Trip
from gridbot.version import __version__

__all__ = ["HttpPool"]

SPARE: Final = 2
WARM: Final = 4
WARM_FOR_S: Final = 120.0
"""So long after the last request free connections are made again."""
DIAL_AGAIN_S: Final = (1.0, 30.0)
"""The first and the longest wait before a spare connection is tried again."""
CLOSING_S: Final = 2.0
_PLAIN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]+")
_KEPT = "-._~!$&'()*+,;=:@/?%"


class HttpPool:
    """At most `most` connections to the host of `base_url`. `timeout_s` for each that is made."""

    def __init__(self, base_url: str, *, timeout_s: float, most: int) -> None:
        self._dialler = Dialler(base_url)
        self._timeout_s = timeout_s
        self._most = most
        self._head = (
            f" HTTP/1.1\r\nHost: {self._dialler.host_header}\r\nUser-Agent: gridbot/{__version__}\r\n"
            "Accept: application/json\r\nAccept-Encoding: identity\r\n"
        )
        self._begins: dict[str, str] = {}
        self._idle: list[HttpConnection] = []
        """The one that was used last at the end."""
        self._open: dict[HttpConnection, None] = {}
        self._dials: dict[asyncio.Task[None], None] = {}
        self._orders: deque[Trip] = deque()
        self._queries: deque[Trip] = deque()
        self._reserve = 0
        self._asked_s = 0.0
        self._dial_again_s = 0.0
        self._dial_wait_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = 0.0
        self._closed = False
        self._loop: asyncio.AbstractEventLoop

    def carry(self, outgoing: Outgoing, timeout_s: float, tell: Tell) -> None:
        """See `Carrier`."""
        loop = self._loop = asyncio.get_running_loop()
        is_order, idle = outgoing.is_order, self._idle
        trip = Trip(self._bytes_of(outgoing), is_order, timeout_s, tell)
        if self._closed:
            tell(NotSent("closed"))
            return
        if is_order and idle and idle[-1].is_usable:
            self._put(idle.pop(), trip)  # the usual case
        elif (connection := self._take(is_order=is_order)) is not None:
            self._put(connection, trip)
        else:
            self._wait(trip)
        now_s = self._asked_s = loop.time()
        if is_order:
            self._reserve = SPARE
        self._arm(now_s + timeout_s)
        self._keep_warm(now_s)

    def close(self) -> None:
        """See `Carrier`."""
        self._closed = True
        for waiting in (self._orders, self._queries):
            while waiting:
                waiting.popleft().tell(NotSent("closed"))
        if not self._open and not self._dials:
            self._disarm()
        elif not self._loop.is_closed():
            for dial in list(self._dials):
                dial.cancel()
            for connection in list(self._idle):
                connection.cut()
            latest_s = self._loop.time() + CLOSING_S
            for connection in self._open:
                connection.close_by(latest_s)
            self._arm(latest_s)

    # ------------------------------------------------------------------ told by connections

    def on_free(self, connection: HttpConnection) -> None:
        """Its next request, if one waits for it."""
        self._dial_wait_s = 0.0
        if self._orders:
            self._put(connection, self._orders.popleft())
        elif self._queries and len(self._idle) >= self._reserve:
            self._put(connection, self._queries.popleft())
        else:
            self._keep(connection)

    def on_gone(self, connection: HttpConnection) -> None:
        """Forget it; whoever waits for a connection gets a new one."""
        self._open.pop(connection, None)
        if connection in self._idle:
            self._idle.remove(connection)
        if not connection.has_answered:
            self._dial_later()
        if len(self._dials) < len(self._orders) + len(self._queries):
            self._dial()
        self._keep_warm(self._loop.time())

    # ------------------------------------------------------------------ requests

    def _bytes_of(self, outgoing: Outgoing) -> bytes:
        target, body, headers = outgoing.target, outgoing.body, outgoing.headers
        begins = self._begins.get(target) if outgoing.is_order else None
        if begins is None:
            begins = self._begin_of(outgoing)
        if body is None:
            return f"{begins}{headers}\r\n".encode("latin-1")
        return f"{begins}{headers}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body

    def _begin_of(self, outgoing: Outgoing) -> str:
        """A request up to its own headers. Those for orders, of which there are four, are kept."""
        target = outgoing.target
        if _PLAIN.fullmatch(target) is None:
            target = quote(target, safe=_KEPT)  # what was signed is the text before
        begins = f"{outgoing.method} {target}{self._head}"
        if outgoing.is_order:
            self._begins[outgoing.target] = begins
        return begins

    def _take(self, *, is_order: bool) -> HttpConnection | None:
        """A free connection for an order, or for a query."""
        idle = self._idle
        keep = 0 if is_order else self._reserve
        for connection in reversed(idle) if is_order else list(idle):
            if len(idle) <= keep:
                break
            if connection.is_usable:
                idle.remove(connection)
                return connection
            # The loop tells what became of it, in this turn: it may only be a ticket of TLS.
        return None

    def _put(self, connection: HttpConnection, trip: Trip) -> None:
        if connection.send(trip):
            return
        connection.cut()
        if trip.is_second_try or self._closed:
            trip.tell(NotSent("the connection was closed"))
        else:
            trip.is_second_try = True
            self._wait(trip)

    def _wait(self, trip: Trip) -> None:
        trip.deadline_s = self._loop.time() + trip.timeout_s
        (self._orders if trip.is_order else self._queries).append(trip)
        self._arm(trip.deadline_s)
        self._dial()

    # ------------------------------------------------------------------ connections

    def _dial(self) -> None:
        if not self._closed and len(self._open) + len(self._dials) < self._most:
            dial = background.start(self._dialled(), name="bybit-dial")
            self._dials[dial] = None
            dial.add_done_callback(self._dials.pop)

    async def _dialled(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._dialler.dial(lambda: HttpConnection(self, self._loop.time))
        except (OSError, RuntimeError, UnicodeError) as error:
            self._dial_later()
            if waiting := self._orders or self._queries:
                waiting.popleft().tell(NotSent(_why(error)))
            return
        self._open[connection] = None
        if waiting := self._orders or self._queries:
            self._put(connection, waiting.popleft())
        else:
            self._keep(connection)

    def _keep(self, connection: HttpConnection) -> None:
        self._idle.append(connection)
        if self._closed:
            connection.cut()
            return
        if len(self._idle) > WARM:
            self._idle[0].leave()
        self._arm(connection.idle_until_s)

    def _dial_later(self) -> None:
        """A spare connection is tried again after a wait, that becomes longer until an answer comes."""
        self._dial_wait_s = min(max(2 * self._dial_wait_s, DIAL_AGAIN_S[0]), DIAL_AGAIN_S[1])
        self._dial_again_s = self._loop.time() + self._dial_wait_s

    def _keep_warm(self, now_s: float) -> None:
        """Make spare connections, if there are too few that no query uses."""
        if len(self._idle) >= self._reserve or self._closed or now_s - self._asked_s > WARM_FOR_S:
            return
        if now_s < self._dial_again_s:
            self._arm(self._dial_again_s)
            return
        of_queries = sum(1 for each in self._open if each.trip is not None and not each.trip.is_order)
        coming = len(self._dials) - len(self._queries)
        for _ in range(self._reserve - (len(self._open) - of_queries + coming)):
            self._dial()

    # ------------------------------------------------------------------ time

    def _arm(self, at_s: float) -> None:
        """Look at everything at `at_s`, or earlier."""
        if self._timer is not None:
            if self._timer_s <= at_s:
                return
            self._timer.cancel()
        self._timer, self._timer_s = self._loop.call_at(at_s, self._look), at_s

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """What has waited too long."""
        self._timer = None
        now_s = self._loop.time()
        for connection in list(self._open):
            if connection.trip is not None:
                if connection.deadline_s <= now_s:
                    connection.expire()
            elif connection.idle_until_s <= now_s:
                connection.leave()
        for waiting in (self._orders, self._queries):
            while waiting and waiting[0].deadline_s <= now_s:
                waiting.popleft().tell(NotSent("none in time"))
        self._keep_warm(now_s)
        # No later than a request that is sent next may wait: so a request needs no timer of its own.
        times = [now_s + self._timeout_s, *self._deadlines()]
        if len(times) > 1:
            self._arm(min(times))

    def _deadlines(self) -> Iterator[float]:
        for connection in self._open:
            yield connection.idle_until_s if connection.trip is None else connection.deadline_s
        for waiting in (self._orders, self._queries):
            if waiting:
                yield waiting[0].deadline_s


def _why(error: BaseException) -> str:
    """What went wrong, without addresses."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted: {error.verify_message}"
    return "none in time" if isinstance(error, TimeoutError) else type(error).__name__
