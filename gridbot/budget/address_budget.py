"""The requests of this process, beside those of all others on its address: who asks waits here for a turn.

    a query     `await turn()`: when it returns, the query leaves, and counts. Between `starting` and `started` it is
                one of a start
    an order    `may_leave` says whether one may. The executor says how many wait (`orders_wait`) and hears when one
                may leave; who sends beside it waits in `order_turn`. `sent` counts it when it leaves

Each is over when what `turn` or `sent` returned is called.

`RequestPermits` decides. Without a supervisor (`is_leased` is false) nothing waits.
Nothing here fails: whoever waits is told when its turn has come, and `why_late` says what takes so long.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridbot.budget.request_permits import IDLE_S, Purpose, RequestPermits
from gridbot.ports import Clock, Timer

__all__ = ["LONG_WAIT_S", "AddressBudget", "Done"]

Message = dict[str, Any]
Done = Callable[[bool], None]
"""Called when a request is over, with whether it was answered."""

LONG_WAIT_S: Final = 12.0
"""Where nothing of a purpose has left for so long, this is a reason against health: each permit is good again in half
that time, so an account that merely wants more than its part has had several requests out."""
AGAIN_S: Final = 0.5
"""What is wanted is said again each half second: a message may be lost."""
APART_S: Final = 0.01
"""Between two messages to the supervisor."""
OF_START: Final = 10
"""What most starts take, and no more than 50 accounts at once may each have of 540."""
ORDERS: Final = (Purpose.CANCEL, Purpose.CLOSE, Purpose.OPEN)


@dataclass(eq=False, slots=True)
class _OrderTurn:
    """One that waits in `order_turn`; `room` ends when there may be room for it."""

    purpose: Purpose
    room: asyncio.Future[None]


class AddressBudget:
    """One per process. `send` passes a message to the supervisor and never blocks; None when there is nobody to ask."""

    def __init__(self, clock: Clock, send: Callable[[Message], None] | None = None) -> None:
        self.permits = RequestPermits()
        self.is_leased = send is not None
        self._on_room: Callable[[], object] = lambda: None
        self._clock = clock
        self._send = send
        self._limited = send is not None
        self._turns: deque[asyncio.Future[Done]] = deque()
        """Queries that wait, in their order."""
        self._query = Purpose.QUERY
        """What they are for now."""
        self._queued: Mapping[Purpose, int] = {}
        """Orders of the executor's queue that wait."""
        self._beside: list[_OrderTurn] = []
        """Those of others, in `order_turn`."""
        self._said: tuple[Any, ...] = ()
        self._seen = 0
        """What we were lent in all when it was said."""
        self._said_s = float("-inf")
        self._timer: Timer | None = None
        self._looking = False
        self._closed = False

    def open(self) -> None:
        """Ask for a share; call it on the loop, once."""
        if self._limited:
            self._look()

    def starting(self) -> None:
        """From now until `started` queries go before the orders that other accounts open."""
        self.permits.at_hand = OF_START
        self._ask_for(Purpose.START)

    def started(self) -> None:
        """This account trades."""
        self.permits.at_hand = 0
        self._ask_for(Purpose.QUERY)

    def close(self) -> None:
        """Ask for nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    # ------------------------------------------------------------------ those who ask

    def tell_room(self, on_room: Callable[[], object]) -> None:
        """Have a function called when an order that waits may leave."""
        self._on_room = on_room

    def may_leave(self, purpose: Purpose) -> bool:
        """Whether a request of an order may leave now."""
        return not self._limited or self.permits.may(purpose, self._clock.monotonic_s())

    def orders_wait(self, waiting: Mapping[Purpose, int]) -> None:
        """So many requests of orders wait for a permit now, by purpose; none of the others."""
        if not self._limited:
            return
        self._queued = waiting
        self._note_orders()
        if waiting:
            self._look()

    async def order_turn(self, purpose: Purpose) -> None:
        """Wait until a request of an order beside the executor's may leave; it has to leave before the next `await`.

        Who has gone on waits no longer, whatever ends it: a mark that stayed would go before every query, for ever.
        """
        if self.may_leave(purpose):
            return
        waiting = _OrderTurn(purpose, asyncio.get_running_loop().create_future())
        self._beside.append(waiting)
        try:
            while not self.may_leave(purpose):
                waiting.room = asyncio.get_running_loop().create_future()
                self._note_orders()
                self._look()
                await waiting.room
        finally:
            self._beside.remove(waiting)
            self._note_orders()

    def _note_orders(self) -> None:
        now_s = self._clock.monotonic_s()
        for purpose in ORDERS:
            beside = sum(each.purpose is purpose for each in self._beside)
            self.permits.waits(purpose, self._queued.get(purpose, 0) + beside, now_s)

    async def turn(self) -> Done:
        """Wait until a query may leave; it is counted as sent. Call the result when it is over."""
        if not self._limited:
            return _nothing
        if not self._turns and self.permits.may(self._query, self._clock.monotonic_s()):
            return self.sent(self._query)
        turn: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        self._look()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):
                    self._turns.remove(turn)
            elif turn.result() is not _nothing:
                self.permits.not_sent()  # its turn had come, and nobody is there to use it
            self._look()
            raise

    def sent(self, purpose: Purpose) -> Done:
        """A request leaves now. Call the result when it is over."""
        if not self._limited:
            return _nothing
        self.permits.take(purpose, self._clock.monotonic_s())
        self._say_soon()
        return self._done

    def unsent(self, over: Done) -> None:
        """A request that had its turn, or was counted, has not left after all; `over` is what it was given."""
        if over is not _nothing:
            self.permits.not_sent()
            self._is_over()

    def extra(self) -> None:
        """A request that asked nobody has been sent and answered."""
        if self._limited:
            self.permits.extra(self._clock.monotonic_s())

    def why_late(self) -> str:
        """What takes so long, in words; "" while nobody waits for long."""
        waited_s = self.permits.waited_s(self._clock.monotonic_s()) if self._limited else 0.0
        if waited_s < LONG_WAIT_S:
            return ""
        return f"no request has left for {waited_s:.0f} s: all accounts together may send no more of them now"

    # ------------------------------------------------------------------ the supervisor

    def lease(self, message: Message) -> None:
        """Its word on our permits: `lent` in all (None: nothing is limited), `keep`, `floor` and `ahead`."""
        lent = message["lent"]
        self._limited = lent is not None
        if lent is not None:
            now_s = self._clock.monotonic_s()
            self.permits.leased(int(lent), message["keep"], int(message["floor"]), int(message["ahead"]), now_s)
        self._look()

    # ------------------------------------------------------------------ inside

    def _ask_for(self, purpose: Purpose) -> None:
        if purpose is not self._query:
            self.permits.waits(self._query, 0, self._clock.monotonic_s())
            self._query = purpose
            if self._turns:
                self._look()

    def _done(self, answered: bool) -> None:
        self.permits.done(self._clock.monotonic_s(), answered=answered)
        self._is_over()

    def _is_over(self) -> None:
        if self.permits.somebody_waits or self.permits.keep is not None:
            self._look()

    def _look(self) -> None:
        """Give turns, give back what is not needed, say what is wanted, and look again in time."""
        if self._closed or self._looking:
            return
        self._looking = True
        try:
            self._give_turns()
        finally:
            self._looking = False
        now_s = self._clock.monotonic_s()
        if self._limited:
            self.permits.give_back(now_s)
            self._say(now_s)
        self._look_again(now_s)

    def _give_turns(self) -> None:
        if not self._limited:
            while self._turns:
                _wake(self._turns.popleft())
            self._tell_of_room()
            return
        while True:
            now_s = self._clock.monotonic_s()
            self.permits.waits(self._query, len(self._turns), now_s)
            first = self.permits.next_purpose(now_s)
            if first is None or not self.permits.may(first, now_s):
                return
            if first is not self._query:
                self._tell_of_room()
                if self.permits.next_purpose(now_s) is first and self.permits.may(first, now_s):
                    return  # what could leave does not; no query waits for it for ever, thanks to its patience
                continue
            turn = self._turns.popleft()
            if not turn.done():
                self.permits.take(self._query, now_s)
                turn.set_result(self._done)

    def _tell_of_room(self) -> None:
        for each in self._beside:
            if not each.room.done():
                each.room.set_result(None)  # it asks `may_leave` again
        self._on_room()

    def _say_soon(self) -> None:
        """After a request: what is at hand may have become too little."""
        now_s = self._clock.monotonic_s()
        if self.permits.left(now_s) < max(self.permits.ahead, self.permits.at_hand):
            self._say(now_s)
            self._look_again(now_s)

    def _say(self, now_s: float) -> None:
        permits = self.permits
        wants = permits.wants(now_s)
        if self._send is None or (self._knows(wants) and not (any(wants[:-1]) and now_s - self._said_s >= AGAIN_S)):
            return
        if now_s - self._said_s < APART_S:
            return  # `_look_again` comes back to it
        self._said, self._seen, self._said_s = (permits.returned, wants), permits.lent, now_s
        self._send({"type": "requests", "seen": permits.lent, "back": permits.returned, "wants": wants})

    def _knows(self, wants: tuple[int, ...]) -> bool:
        """Whether the supervisor was told so. To want one more is news when the one it was told of has been lent."""
        is_met = any(wants[:-1]) and self._seen != self.permits.lent
        return not is_met and self._said == (self.permits.returned, wants)

    def _look_again(self, now_s: float) -> None:
        permits = self.permits
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._limited:
            return
        wait_s = IDLE_S
        waits = any(permits.wants(now_s)[:-1])
        rested_s = permits.next_s(now_s)
        if waits or permits.keep is not None:
            wait_s = AGAIN_S if rested_s is None else min(AGAIN_S, rested_s)
        if not self._knows(permits.wants(now_s)):
            wait_s = min(wait_s, APART_S)
        self._timer = self._clock.call_later(max(wait_s, 0.001), self._look)


def _nothing(answered: bool) -> None:
    """Nothing is counted."""


def _wake(turn: asyncio.Future[Done]) -> None:
    if not turn.done():
        turn.set_result(_nothing)
