"""All that an explanation looks at, as one value. Times are monotonic seconds; money is USDT."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from gridbot.core import Direction
from gridbot.exchange.bans import Ban
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.order import TrackedOrder
from gridbot.orders.proposal import Proposal
from gridbot.orders.retry import RetryItem
from gridbot.risk.gate_checks import AccountView
from gridbot.risk.gate_state import GateState
from gridbot.risk.refusals import Refusal
from gridbot.risk.strategy_state import StrategyRiskState
from gridbot.strategies.base import Ladder, Wish

__all__ = ["Level", "Reason", "Scene", "Sending", "Spoken", "Weight"]

Level = tuple[Direction, int]
"""A leg and a price in whole ticks."""


class Weight:
    """How much a missing order matters: nothing is wrong, it comes by itself in a moment, or something keeps it."""

    NORMAL = "normal"
    PASSING = "passing"
    HELD = "held"


class Reason(NamedTuple):
    """Why an order does not rest. `next_s`: seconds until it is tried again, where that is known.

    `lifted_by` is the command, or the key of the configuration, that changes it; empty when nothing has to be done.
    """

    text: str
    weight: str
    next_s: float | None = None
    lifted_by: str = ""


class Spoken(NamedTuple):
    """The newest refusal of the exchange for a level, when it came, and how often it was refused in a row."""

    error: ExchangeError
    at_s: float
    times: int


@dataclass(frozen=True, slots=True)
class Sending:
    """What keeps requests from leaving. `queued` are the keys of orders that wait for their create request.

    `wait_s` is when the account's own budget has room again, `late` what is said of the budget of the address.
    """

    queued: frozenset[str] = frozenset()
    ban: Ban | None = None
    by_http: bool = True
    is_full: bool = False
    wait_s: float = 0.0
    late: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """One strategy. `proposals` are its missing orders as they would be sent; `command` makes a line to be pasted."""

    account: str
    view: StrategyRiskState
    gate: GateState
    others: AccountView
    wishes: Sequence[Wish]
    command: Callable[[str], str]
    proposals: Mapping[Level, Proposal] = field(default_factory=dict)
    refused: Mapping[Level, Refusal] = field(default_factory=dict)
    spoken: Mapping[Level, Spoken] = field(default_factory=dict)
    retries: Mapping[str, RetryItem] = field(default_factory=dict)
    sending: Sending = Sending()
    has_numbers: bool = True
    is_shadow: bool = False
    rules: str = ""
    low_balance: bool = False
    multipliers: Mapping[Direction, tuple[Decimal, Decimal]] = field(default_factory=dict)
    liquidation: Mapping[Direction, Decimal | None] = field(default_factory=dict)
    account_caps: Sequence[Mapping[str, Any]] = ()
    """The account's caps with what is used of each (`CapGuard.rows`): cap, used and limit as text, share a fraction."""
    blocked: str = ""
    """What of the strategy does not get through at all (`risk/passage.py`)."""
    ladder: Ladder | None = None

    @property
    def orders(self) -> dict[Level, list[TrackedOrder]]:
        """The orders of the book that are not settled, by their levels."""
        found: dict[Level, list[TrackedOrder]] = {}
        for order in self.view.book:
            found.setdefault((order.direction, order.ticks), []).append(order)
        return found

    @property
    def resume(self) -> str:
        """The command that lets this strategy trade again."""
        return self.command(f"resume {self.account}/{self.view.strat_id}")
