"""The id an order carries on the wire. It says whose the order is, whatever its terms or the market's rules become.

    <account tag><strategy tag>-<leg><ticks>-<generation>-<epoch>      k3v0q8x91bz2-aapvk-midc1z40-0
     6 characters 6 characters   a..d, base 36  base 36      base 36

* Tags are hashes: of the environment and the account's name, and of the strategy's id. No name is readable in an id.
* The leg is side and direction in one letter: `a` opens long, `b` closes long, `c` opens short, `d` closes short.
* Ticks are the price that the order was made for, in the tick size of then: to be read by people. Nothing follows from
  them: a price may be moved by the exchange or by a hand, and the size of a tick may change.
* A generation is used once per account, ever: the exchange remembers an id for hours after its order is gone (incidents
  L1-L3). The first one of a fresh state directory starts at the clock, above anything an earlier installation used.
* The epoch says which holder of the account made the order: 0 without a fleet; in one it grows with each change of the
  host that has the account (docs/fleet.md).

At most 36 characters of `a-z`, `0-9` and `-`, of which 20 are for the three numbers: a price of 2.8e12 ticks, a
generation fifty times today's and an epoch of 46,655 fit together. Ids of before are in `former_ids`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from gridbot.core import Direction, Side

__all__ = [
    "MAX_LENGTH",
    "Generations",
    "LinkId",
    "Owner",
    "account_tag",
    "has_layout",
    "parse",
    "strategy_tag",
    "wire_id",
]

MAX_LENGTH = 36
TAG_LENGTH = 6
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = tuple(high + low for high in _DIGITS for low in _DIGITS)
_LEGS = {
    (Side.BUY, Direction.LONG): "a",
    (Side.SELL, Direction.LONG): "b",
    (Side.SELL, Direction.SHORT): "c",
    (Side.BUY, Direction.SHORT): "d",
}
_SIDES = {letter: leg for leg, letter in _LEGS.items()}
_LAYOUT = re.compile(r"([0-9a-z]{6})([0-9a-z]{6})-([a-d])([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LinkId:
    """What an id of ours says. `account` and `strategy` are tags, `ticks` those of the time it was made."""

    account: str
    strategy: str
    side: Side
    direction: Direction
    ticks: int
    generation: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Owner:
    """One strategy of one account; `head` is what all its ids begin with, `epoch` what its new ones end with."""

    strat_id: str
    head: str
    epoch: int = 0

    @classmethod
    def of(cls, account: str, strat_id: str, epoch: int = 0) -> Owner:
        """The strategy `strat_id` of the account with this tag."""
        return cls(strat_id, account + strategy_tag(strat_id), epoch)

    def made(self, link_id: str) -> bool:
        """Whether an id is in our layout and has our tags."""
        return link_id.startswith(self.head) and parse(link_id) is not None


def account_tag(environment: str, name: str) -> str:
    """The tag of an account: paper, testnet, demo or mainnet, and its name in the configuration."""
    return _tag(f"gridbot account {environment} {name}")


def strategy_tag(strat_id: str) -> str:
    """The tag of a strategy."""
    return _tag(f"gridbot strategy {strat_id}")


def wire_id(owner: Owner, side: Side, direction: Direction, ticks: int, generation: int) -> str:
    """Compose an orderLinkId. ValueError when it would be too long for the exchange, or a number is negative."""
    text = f"{_level_part(owner.head, side, direction, ticks)}{_base36(generation)}-{_before(owner.epoch)}"
    if len(text) > MAX_LENGTH:
        raise ValueError(f"expected an orderLinkId of at most {MAX_LENGTH} characters, got {len(text)}: {text}")
    return text


def has_layout(link_id: str) -> bool:
    """Whether an id has today's layout, whoever made it."""
    return _LAYOUT.fullmatch(link_id) is not None and len(link_id) <= MAX_LENGTH


def parse(link_id: str) -> LinkId | None:
    """What an id says; None for one that is not in this layout."""
    found = _LAYOUT.fullmatch(link_id) if len(link_id) <= MAX_LENGTH else None
    if found is None:
        return None
    account, strategy, leg, *numbers = found.groups()
    ticks, generation, epoch = (int(text, 36) for text in numbers)
    return LinkId(account, strategy, *_SIDES[leg], ticks, generation, epoch)


def _tag(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])
    return _base36(number % 36**TAG_LENGTH).rjust(TAG_LENGTH, "0")


def _base36(number: int) -> str:
    """On the hot path: two digits at a time, and what precedes them is known, as numbers follow each other."""
    if number < 0:
        raise ValueError(f"expected a number of at least 0 in an orderLinkId, got {number}")
    if number >= 1296:
        return _before(number // 1296) + _PAIRS[number % 1296]
    return _PAIRS[number] if number >= 36 else _DIGITS[number]


_before = lru_cache(maxsize=1024)(_base36)


@lru_cache(maxsize=1024)
def _level_part(head: str, side: Side, direction: Direction, ticks: int) -> str:
    """What the ids of a level begin with: it is wanted again and again."""
    return f"{head}-{_LEGS[side, direction]}{_base36(ticks)}-"


class Generations:
    """Numbers that never repeat for an account, across restarts and crashes.

    They come from blocks. Before the first number of a block is used, the disk has to know that everything below its
    end counts as used. `reserve(upto, safe)` begins that and does not wait; `safe` is called, in any thread, when it is
    done. The next block is asked for long before the last number of this one. While the disk takes none, numbers run
    out, and `available` says so. After a crash the rest of a block is skipped. A block is ten seconds of the clock's
    milliseconds, so that deaths do not carry the numbers ahead of it: an account whose files are lost begins at the
    clock again, and must not meet its own numbers there.
    """

    BLOCK = 10_000
    AHEAD = 5_000

    def __init__(self, start: int, reserve: Callable[[int, Callable[[], None]], None]) -> None:
        self._next = start
        self._asked = start
        self._reserved = start
        self._reserve = reserve

    @property
    def unused(self) -> int:
        """The next number; all from here on are new."""
        return self._next

    def available(self, count: int) -> bool:
        """Whether the next `count` numbers may be used; asks for more where they run short. On the hot path."""
        left = self._reserved - self._next
        if left < self.AHEAD and self._asked == self._reserved:
            self._ask(self._reserved + self.BLOCK)
        return self._reserved - self._next >= count

    def next(self) -> int:
        """A new number. Raises LookupError when there is none; `available` says so before."""
        if self._reserved - self._next < self.AHEAD and not self.available(1):
            raise LookupError(f"expected a reserved number, all below {self._reserved} are used")
        number = self._next
        self._next += 1
        return number

    def _ask(self, upto: int) -> None:
        def safe() -> None:
            self._reserved = upto

        self._asked = upto
        self._reserve(upto, safe)
