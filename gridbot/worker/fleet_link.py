"""What this worker shares with the others of its supervisor: requests, a ban of their address, facts of the market.

The messages, beside those of `WorkerSession`:

    to the supervisor      requests, banned, fact_wanted, fact_read, line_start, caps (`cap_guard`)
    from it                lease (with the ban, if there is one), fact, read_fact, fact_coming, line_start
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from gridbot.budget.address_budget import AddressBudget
from gridbot.budget.fact_share import FactShare
from gridbot.budget.line_starts import LineStarts
from gridbot.exchange.bans import Ban, ban_of
from gridbot.ports import Clock

__all__ = ["EARLIER_S", "KNOWN_S", "FleetLink"]

log = logging.getLogger(__name__)

Message = dict[str, Any]

EARLIER_S: Final = 10.0
"""The first of a fleet is ready, and has read what all need, so long before the last one begins. Who starts later reads
for himself: a start is when an operator expects a contract's newest terms to be known."""
KNOWN_S: Final = 3600.0
"""How long workers that trade believe what they have read of the market, if nothing says otherwise. So does one that
takes over from one that has died; who has terms changed restarts it in order, and it reads them."""
SAME_S: Final = 1.0
"""Two ends of a ban that are closer are those of one ban."""


class FleetLink:
    """One per process. `scope` says where the account trades; without `send` the worker shares nothing.

    A process that is no worker may come with a `budget` of its own, and have `on_ban` hear what it is told of a ban.
    """

    def __init__(
        self,
        clock: Clock,
        scope: str = "",
        send: Callable[[Message], None] | None = None,
        *,
        budget: AddressBudget | None = None,
        on_ban: Callable[[Ban], object] = lambda ban: None,
        takes_over: bool = False,
    ) -> None:
        self.budget = budget or AddressBudget(clock, send)
        self._tell_ban = on_ban
        self.facts = FactShare(clock, scope, send)
        self.line_starts = LineStarts(clock, send)
        self._on_ban: Callable[[Ban], object] = lambda ban: None
        self._clock = clock
        self._began_s = clock.monotonic_s()
        self._earlier_s = KNOWN_S if takes_over else EARLIER_S
        self._send = send
        self._ban: Ban | None = None

    @property
    def tell_caps(self) -> Callable[[Message], None] | None:
        """Gives the account's figures to the caps of groups and fleet; None where the worker shares nothing."""
        return self._send

    @property
    def facts_age_s(self) -> float:
        """How old a fact may be at a start: read `EARLIER_S` before this process began, or later; for one that takes
        over (`WorkerSpec`) `KNOWN_S`.

        So a fleet that starts reads once what all its accounts need. Whatever made a worker start anew, such as another
        tick, it has read for all: no older fact is told after that.
        """
        return self._clock.monotonic_s() - self._began_s + self._earlier_s

    def hear_bans(self, on_ban: Callable[[Ban], object]) -> None:
        """Have a function called with each ban that another account was told of."""
        self._on_ban = on_ban

    def banned(self, ban: Ban) -> None:
        """The exchange has told this account that the address is banned: so are the others."""
        self._ban = ban
        self._tell_ban(ban)
        if self._send is not None:
            code, status = ban.error.ret_code, ban.error.http_status
            self._send({"type": "banned", "until_s": ban.until_s, "ret_code": code, "http_status": status})

    def ban_left_s(self) -> float:
        """Seconds that are left of the newest ban that this process has heard of."""
        return 0.0 if self._ban is None else max(0.0, self._ban.until_s - self._clock.monotonic_s())

    def on_message(self, message: Message) -> None:
        """A `lease` of the supervisor, or a word about a fact or a start."""
        if message["type"] == "line_start":
            self.line_starts.on_message(message)
            return
        if message["type"] != "lease":
            self.facts.on_message(message)
            return
        if message.get("ban"):
            self._hear(message["ban"])
        self.budget.lease(message)

    def _hear(self, told: Message) -> None:
        until_s = float(told["until_s"])
        known_s = self._ban.until_s if self._ban is not None else self._clock.monotonic_s()
        if until_s <= known_s + SAME_S:
            return
        now_s = self._clock.monotonic_s()
        self._ban = ban = ban_of(until_s, now_s, told["ret_code"], told["http_status"])
        log.warning("the exchange bans this address for %.0f s more, as another account was told", until_s - now_s)
        self._on_ban(ban)
