"""How many HTTP requests an account may send: permits that its supervisor has lent it. Pure; times monotonic seconds.

The exchange allows an address so many requests in any five seconds, all accounts together, and bans it for ten minutes
when one more comes. So there are exactly as many permits, and each is somewhere:

::

    supervisor ──lease──► left ──take──► under way ──done──► resting ──REST_S──► left ──give_back──► supervisor

A permit is good for one request, rests `REST_S` from its answer, and is good again. Between two requests of a permit
lies more than the exchange's window, however long each took: the first had arrived when its answer came, the second
leaves only then. So no window has more requests than there are permits, whatever is late: permits in a message are good
for nobody. Only a rested permit goes back, and whoever dies takes its permits along until they have rested.

Both sides write how many permits were lent and given back *in all*, so a message that is lost is made good by the next.

Who is first: the more urgent purpose, but a purpose that has waited `PATIENCE_S` has a turn before the others.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Final

__all__ = ["IDLE_S", "PATIENCE_S", "REST_S", "UNSURE_REST_S", "WINDOW_S", "Purpose", "RequestPermits"]

WINDOW_S: Final = 5.0
"""The exchange's window."""
REST_S: Final = 5.2
"""From the answer to a request until its permit is good again: the window, and what two clocks may differ over it."""
UNSURE_REST_S: Final = 15.0
"""The same for a request without an answer, which may arrive much later than it left."""
PATIENCE_S: Final = 1.0
IDLE_S: Final = 5.0
"""What was left over for so long is given back, down to the floor."""


class Purpose(IntEnum):
    """What a request is for, the most urgent first. AHEAD is no request: permits to have at hand.

    START is a query of an account that does not trade yet: until it is through, nobody looks after its orders.
    """

    CANCEL = 0
    CLOSE = 1
    START = 2
    OPEN = 3
    QUERY = 4
    AHEAD = 5


class RequestPermits:
    """The permits of one account. It begins without any.

    `floor` is what it keeps in any case, `ahead` what it wants to have left for what comes next.
    """

    def __init__(self) -> None:
        self.lent = 0
        """Lent to us, in all."""
        self.returned = 0
        """Given back, in all."""
        self.floor = 0
        self.ahead = 0
        self.at_hand = 0
        """What it wants to have left while it starts: a permit that is asked for by itself is a way to the supervisor
        and back, and on a full machine that is long."""
        self.keep: int | None = None
        """The supervisor wants what is above, for others."""
        self.under_way = 0
        """Requests that have left and are not answered."""
        self._resting: deque[float] = deque()
        """When each resting permit is good again, the first one first."""
        self._waiting: dict[Purpose, int] = {}
        self._since_s: dict[Purpose, float] = {}
        """Since when a purpose waits, or when it had its last turn."""
        self._least_left = 0
        self._idle_since_s = 0.0

    # ------------------------------------------------------------------ what there is

    @property
    def held(self) -> int:
        """Permits that are here, whatever they do."""
        return self.lent - self.returned

    def left(self, now_s: float) -> int:
        """Requests that may leave now. Below zero after one that could not wait."""
        while self._resting and self._resting[0] <= now_s:
            self._resting.popleft()
        return self.held - self.under_way - len(self._resting)

    def next_s(self, now_s: float) -> float | None:
        """Seconds until the next resting permit is good again; None when none rests."""
        self.left(now_s)
        return max(0.0, self._resting[0] - now_s) if self._resting else None

    # ------------------------------------------------------------------ who waits

    def waits(self, purpose: Purpose, count: int, now_s: float) -> None:
        """So many requests of a purpose wait for a permit now."""
        if count and purpose not in self._waiting:
            self._since_s[purpose] = now_s
        if count:
            self._waiting[purpose] = count
        else:
            self._waiting.pop(purpose, None)

    @property
    def somebody_waits(self) -> bool:
        return bool(self._waiting)

    def waited_s(self, now_s: float) -> float:
        """For how long a purpose has been waiting without any request of it leaving."""
        return max((now_s - self._since_s[purpose] for purpose in self._waiting), default=0.0)

    def next_purpose(self, now_s: float) -> Purpose | None:
        """Whose turn it is; None when nobody waits."""
        late = [one for one in self._waiting if now_s - self._since_s[one] >= PATIENCE_S]
        if late:
            return min(late, key=lambda one: (self._since_s[one], one))
        return min(self._waiting, default=None)

    def may(self, purpose: Purpose, now_s: float) -> bool:
        """Whether a request of that purpose may leave now: a permit is left, and nobody else has the turn.

        What the supervisor wants back for others is not left.
        """
        owed = 0 if self.keep is None else max(0, self.held - self.keep)
        if self.left(now_s) - owed <= 0:
            return False
        first = self.next_purpose(now_s)
        if first is None or purpose == first:
            return True
        return purpose < first and now_s - self._since_s[first] < PATIENCE_S

    def wants(self, now_s: float) -> tuple[int, ...]:
        """How many permits are wanted, by purpose."""
        left, spare = max(0, self.left(now_s)), max(self.ahead, self.at_hand)
        ahead = spare - left if 2 * left < spare else 0
        return (*(self._waiting.get(purpose, 0) for purpose in Purpose if purpose is not Purpose.AHEAD), ahead)

    # ------------------------------------------------------------------ what happens

    def take(self, purpose: Purpose, now_s: float) -> None:
        """A request leaves now. Whoever cannot wait may also take what is not left; then the others wait longer."""
        self.under_way += 1
        self._least_left = min(self._least_left, self.left(now_s))
        if purpose in self._since_s:
            self._since_s[purpose] = now_s

    def done(self, now_s: float, *, answered: bool) -> None:
        """A request that was taken for is over."""
        self.under_way -= 1
        self._rest(now_s + (REST_S if answered else UNSURE_REST_S))

    def not_sent(self) -> None:
        """A request that was taken for has not left after all."""
        self.under_way -= 1

    def extra(self, now_s: float) -> None:
        """A request was sent and answered for which nobody has taken."""
        self._rest(now_s + REST_S)

    def leased(self, lent: int, keep: int | None, floor: int, ahead: int, now_s: float) -> None:
        """The supervisor's newest word. An older one than we know of changes nothing."""
        if lent < self.lent:
            return
        self.lent, self.keep, self.floor, self.ahead = lent, keep, floor, ahead

    def give_back(self, now_s: float) -> int:
        """How many permits go back now, for others or for want of use; they are gone when this returns."""
        left = self.left(now_s)
        count = 0
        if self.keep is not None:
            count = min(left, self.held - self.keep)
        if now_s - self._idle_since_s >= IDLE_S:
            count = max(count, min(self._least_left - self.ahead, left, self.held - self.floor))
            self._idle_since_s, self._least_left = now_s, left
        count = max(0, count)
        self.returned += count
        self._least_left = min(self._least_left, left - count)
        return count

    def _rest(self, until_s: float) -> None:
        if self._resting and until_s < self._resting[-1]:
            self._resting = deque(sorted([*self._resting, until_s]))
        else:
            self._resting.append(until_s)
