"""How the accounts of a scope share its `max_notional`, as a step. Pure; USDT.

The worker of each account lets it be worth no more than its share. What is lent is never more than the limit, whatever
the workers do between two messages::

    free ──Tell: a larger share──► lent ──Tell: a smaller share──► asked back ──Said: it keeps less──► free

    event    what it changes                                                    effects
    Limit    how much there is                                                  shares are dealt
    Said     what the worker uses, wants, and keeps to, and by which word       shares are dealt
    Gone     its process has ended: what it kept to counts until the next one   -
             says what is really used
    Granted  over hosts: how much each account may be worth, by the database    shares are what is granted

A share that grows counts at once, one that shrinks when the worker has said so with the number of that word: so what
counts as lent (`Member.bound`) is never less than what the worker may use. A worker that has not been heard of since
our start counts with what an earlier supervisor had lent it, else with its even part.

What is free goes to whoever wants more, the smallest share first. When it is used up and somebody below the even part
wants more, those who use less than they have are asked to keep less, the one with most of it first. Nobody is asked for
what is used: positions and orders cannot be lent to another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final

__all__ = ["Effect", "Event", "Gone", "Granted", "Limit", "Member", "Said", "Shares", "Tell", "deal", "step"]

ZERO: Final = Decimal(0)
ROUNDED_DOWN: Final = Context(prec=28, rounding=ROUND_FLOOR)
AHEAD: Final = Decimal("0.05")
"""What is lent beyond what is wanted, as a part of it: prices move, and so does what the same orders are worth."""
PLENTY: Final = Decimal("0.25")
"""Part of the limit that has to be free for that."""


@dataclass(slots=True)
class Member:
    """One account. `share` is what it was told last, by the word `number`; `bound` what it may keep to at most.

    Of one that is not known, `bound` is what an earlier supervisor had lent it, None for nothing.
    """

    share: Decimal = ZERO
    number: int = 0
    bound: Decimal | None = None
    used: Decimal = ZERO
    short: Decimal = ZERO
    is_there: bool = False

    @property
    def unused(self) -> Decimal:
        """What it could do without."""
        return max(ZERO, self.share - self.used - self.short) if self.is_there else ZERO


class Shares:
    """The state, changed by `step` alone. `bounds` are what an earlier supervisor had lent.

    `grants`: what the fleet has granted to each account that is here; None where this deals by itself.
    """

    def __init__(
        self,
        names: Iterable[str],
        bounds: Mapping[str, Decimal] | None = None,
        *,
        grants: Mapping[str, Decimal] | None = None,
    ) -> None:
        known = bounds or {}
        self.limit = ZERO
        self.grants = grants
        self.elsewhere = ZERO
        """What the fleet has lent to accounts of other hosts."""
        self.members = {name: Member(bound=known.get(name)) for name in names}

    @property
    def even(self) -> Decimal:
        """The even part of each account: rounded down, so that all together are no more than there is."""
        return ROUNDED_DOWN.divide(self.limit, Decimal(max(1, len(self.members))))

    def lent(self, name: str) -> Decimal:
        """What counts as lent to an account: at least what it uses."""
        member = self.members[name]
        return max(self.even if member.bound is None else member.bound, member.used)

    @property
    def free(self) -> Decimal:
        """What may be lent; negative when prices have carried positions above the limit."""
        return self.limit - self.elsewhere - sum(map(self.lent, self.members), ZERO)

    @property
    def used(self) -> Decimal:
        """What all accounts are worth, as far as they have said."""
        return sum((member.used for member in self.members.values()), ZERO)


@dataclass(frozen=True, slots=True)
class Limit:
    """How much there is now."""

    limit: Decimal


@dataclass(frozen=True, slots=True)
class Said:
    """An account is worth `used`, wants `short` more, and keeps to `kept` since the word `number`."""

    name: str
    used: Decimal
    short: Decimal
    kept: Decimal
    number: int


@dataclass(frozen=True, slots=True)
class Gone:
    """The process of an account has ended."""

    name: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What each account here may be worth at most, of a limit of the whole fleet; whoever is not named: nothing."""

    grants: Mapping[str, Decimal]
    limit: Decimal
    elsewhere: Decimal


Event = Limit | Said | Gone | Granted


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell an account its share."""

    name: str


Effect = Tell


def step(state: Shares, event: Event) -> list[Effect]:
    """Apply an event; returns who has another share now. The state is changed in place, here and nowhere else."""
    match event:
        case Gone(name):
            member = state.members[name]
            member.bound = state.lent(name)
            member.share, member.number, member.short, member.is_there = ZERO, 0, ZERO, False
            return []
        case Limit(limit):
            if limit == state.limit:
                return []
            state.limit = limit
        case Granted(grants, limit, elsewhere):
            state.grants, state.limit, state.elsewhere = grants, limit, elsewhere
        case Said(name, used, short, kept, number):
            member = state.members[name]
            member.used, member.short = used, short
            if not member.is_there or number == member.number:
                # A process that has just begun keeps to what it says, or to what it was told since its beginning.
                member.bound = max(kept, member.share) if not member.is_there else kept
            member.is_there = True
    return deal(state) if state.grants is None else _pass_on(state, state.grants)


def _pass_on(state: Shares, grants: Mapping[str, Decimal]) -> list[Effect]:
    told = [name for name, one in state.members.items() if one.is_there and one.share != grants.get(name, ZERO)]
    for name in told:
        _lend(state, name, grants.get(name, ZERO))
    return [Tell(name) for name in told]


def deal(state: Shares) -> list[Effect]:
    """Lend what is free, and ask back what is not used and others want."""
    told: dict[str, None] = {}
    there = {name: one for name, one in state.members.items() if one.is_there}
    wants = {name: one.used + one.short - one.share for name, one in there.items()}
    wants = {name: more for name, more in wants.items() if more > 0}
    for name in sorted(wants, key=lambda each: there[each].share):
        free = state.free
        if free <= 0:
            break
        ahead = (there[name].used + there[name].short) * AHEAD if free > state.limit * PLENTY else ZERO
        # What its worker may keep to already (a share that was asked back meanwhile) costs nothing.
        spare = state.lent(name) - there[name].share
        given = min(wants[name] + ahead, free + max(ZERO, spare))
        if given > 0:
            _lend(state, name, there[name].share + given)
            wants[name] -= given
            told[name] = None
    below = (min(more, state.even - there[name].share) for name, more in wants.items())
    missing = sum((each for each in below if each > 0), max(ZERO, -state.free))
    missing -= sum((max(ZERO, (one.bound or ZERO) - max(one.share, one.used)) for one in there.values()), ZERO)
    for name, one in sorted(there.items(), key=lambda item: -item[1].unused):
        if missing <= 0 or one.unused <= 0:
            break
        back = min(missing, one.unused)
        _lend(state, name, one.share - back)
        missing -= back
        told[name] = None
    return [Tell(name) for name in told]


def _lend(state: Shares, name: str, share: Decimal) -> None:
    member = state.members[name]
    member.share = share
    member.number += 1
    member.bound = max(member.bound or ZERO, share)
