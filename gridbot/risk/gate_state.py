"""What the gate of an account remembers, as one value, and how each event changes it: a step function. Pure.

::

    proposal ──gate_checks.admit──► Verdict ──step──► funds promised, attempt counted, caps warned

    level    closed ──Refused: too many in a while──► open ──time, TermsRepaired──► closed
    our key  good ──AuthFailed: too many in a row──► cooling ──time, Accepted──► good
    funds    unknown ──WalletSeen──► fresh ──time──► old ──WalletSeen, StreamAlive──► fresh
    account  free ──Stop, Latch, Kill──► held ──Resume, Unlatch (a latch only)──► free

    event                 what changes                                       effect
    Enrolled              the strategy's attempts are counted
    Verdict               funds, attempts and warnings, as it says           CapWarned for each cap that warns now
    Accepted              a row of key failures ends, and its cooldown
    Refused               the circuit of the level (`Breaker`)               BreakerOpened, if it opens
    TermsRepaired         the circuits of a strategy's levels
    AuthFailed            the row of key failures (`FailureRun`)             CooldownBegun, if it is long enough
    WalletSeen            figures and promises, unless ours are newer
    StreamAlive           the figures are as good as new
    Stop, Latch, Resume,  what holds the account (`holds`)                   HoldsChanged, if something did
    Kill, Unlatch
    Braked                what caps let through (`brake`)
    Lent                  the account's share of the caps on notional of fleet and groups

The exchange accepts a PostOnly order that would take, and cancels it a few ms later (docs/bybit.md 3.4). So an
acceptance proves that our key is good, and says nothing about the level: its circuit is closed by time, or because what
the exchange refused its orders for was set right.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from gridbot.core import Direction, Side, WalletEvent
from gridbot.core.quick_values import quick_value
from gridbot.exchange.failures import ExchangeError
from gridbot.orders.breakers import Breaker, Cause, FailureRun, RateCap
from gridbot.risk.brake import FREE, Brake
from gridbot.risk.caps import CapEased, CapWarned
from gridbot.risk.funds import Funds
from gridbot.risk.holds import Hold, Holds, Kill, Latch, Resume, Stop, Unlatch
from gridbot.risk.holds import step as step_holds
from gridbot.risk.refusals import Refusal

__all__ = [
    "Accepted",
    "AuthFailed",
    "Braked",
    "BreakerOpened",
    "Change",
    "CooldownBegun",
    "Effect",
    "Enrolled",
    "Event",
    "GateState",
    "HoldsChanged",
    "Lent",
    "LevelKey",
    "Promise",
    "Refused",
    "StreamAlive",
    "TermsRepaired",
    "Verdict",
    "WalletSeen",
    "step",
]

LevelKey = tuple[str, Direction, Side, int]
"""Strategy, direction, side and price in ticks."""


class GateState(NamedTuple):
    """`rates` is by strategy, `warned` has the keys of the caps that are 80 % used.

    `share` (USDT) is what the account may have of the caps on notional of fleet and groups; None where there are none.
    `balance_changes` grows whenever the wallet's balance becomes another: sizes of all strategies may follow from it.
    """

    holds: Holds = Holds()
    funds: Funds = Funds()
    auth: FailureRun = FailureRun()
    breaker: Breaker[LevelKey] = Breaker()
    rates: Mapping[str, RateCap] = MappingProxyType({})
    warned: frozenset[str] = frozenset()
    brake: Brake = FREE
    share: Decimal | None = None
    balance_changes: int = 0


# ---------------------------------------------------------------------- an answer to a proposal, and what it changes


class Promise(NamedTuple):
    """Margin (USDT) that an opening order takes; whether the order is a probe, since nobody knows what is available."""

    margin: Decimal
    is_probe: bool


Change = Promise | CapWarned | CapEased


class Verdict(NamedTuple):
    """The answer to a proposal: admitted when there is no refusal; and what it changes, as values.

    An order that is let through counts for the cap per minute of its `strategy` (empty with a refusal), and an opening
    one makes a promise. Warnings of caps begin and end with refusals, too.
    """

    refusal: Refusal | None
    strategy: str = ""
    changes: tuple[Change, ...] = ()


# ---------------------------------------------------------------------- other events


@quick_value(frozen=True, slots=True)
class Enrolled:
    """A strategy of the account, and its cap on orders per minute."""

    strategy: str
    per_minute: int | None


@quick_value(frozen=True, slots=True)
class Accepted:
    """The exchange accepted a request."""


@quick_value(frozen=True, slots=True)
class Refused:
    """The exchange refused an order at this level, or gave it another price."""

    level: LevelKey
    cause: Cause = Cause.REFUSED


@quick_value(frozen=True, slots=True)
class TermsRepaired:
    """What the exchange refused the orders of a strategy for was set right.

    With `uncovered` only for what closes these legs.
    """

    strategy: str
    uncovered: frozenset[Direction] = frozenset()

    def frees(self, level: LevelKey) -> bool:
        """Whether the circuit of a level closes."""
        strategy, direction, side, _ = level
        is_closing = direction in self.uncovered and side is direction.close_side
        return strategy == self.strategy and (is_closing or not self.uncovered)


@quick_value(frozen=True, slots=True)
class AuthFailed:
    """The exchange did not accept our key."""

    error: ExchangeError


@quick_value(frozen=True, slots=True)
class WalletSeen:
    """The account's wallet, from stream or REST (`was_asked`)."""

    wallet: WalletEvent
    was_asked: bool = False


@quick_value(frozen=True, slots=True)
class StreamAlive:
    """The private stream works: what it did not push has not changed."""


@quick_value(frozen=True, slots=True)
class Braked:
    """What caps let through from now on."""

    brake: Brake


@quick_value(frozen=True, slots=True)
class Lent:
    """What all strategies of the account together may be worth from now on (USDT); None: there is no such cap."""

    share: Decimal | None


Event = (
    Verdict
    | Enrolled
    | Accepted
    | Refused
    | TermsRepaired
    | AuthFailed
    | WalletSeen
    | StreamAlive
    | Braked
    | Lent
    | Stop
    | Latch
    | Resume
    | Kill
    | Unlatch
)


# ---------------------------------------------------------------------- effects


@quick_value(frozen=True, slots=True)
class BreakerOpened:
    """The exchange refused this level too often."""

    level: LevelKey


@quick_value(frozen=True, slots=True)
class CooldownBegun:
    """Too many key failures in a row; nothing but an operator's close passes until then (monotonic seconds)."""

    until_s: float


@quick_value(frozen=True, slots=True)
class HoldsChanged:
    """These were set or lifted."""

    holds: frozenset[Hold]


Effect = CapWarned | BreakerOpened | CooldownBegun | HoldsChanged


def step(state: GateState, event: Event, now_s: float, now_ms: int) -> tuple[GateState, tuple[Effect, ...]]:
    """Apply an event at `now_s` (monotonic); a hold that it sets began at `now_ms` (UTC)."""
    if isinstance(event, Verdict):  # what comes with each fill is asked for first
        return _decided(state, event, now_s)
    if isinstance(event, Accepted):
        auth = state.auth.succeeded()
        return (state if auth is state.auth else state._replace(auth=auth)), ()
    if isinstance(event, WalletSeen):
        return _with_wallet(state, event, now_s), ()
    if isinstance(event, StreamAlive):
        return _with_funds(state, state.funds.confirmed(now_s)), ()
    match event:
        case Enrolled(strategy=strategy, per_minute=per_minute):
            return state._replace(rates={**state.rates, strategy: RateCap(per_minute)}), ()
        case Refused(level=level, cause=cause):
            breaker, opens = state.breaker.failed(level, now_s, cause)
            return state._replace(breaker=breaker), (BreakerOpened(level),) if opens else ()
        case TermsRepaired():
            levels = {level for level in state.breaker.circuits if event.frees(level)}
            return state._replace(breaker=state.breaker.closed(levels)), ()
        case AuthFailed(error=error):
            auth, begins = state.auth.failed(error, now_s)
            until_s = auth.until_s if begins else None
            return state._replace(auth=auth), () if until_s is None else (CooldownBegun(until_s),)
        case Braked(brake=brake):
            return state._replace(brake=brake), ()
        case Lent(share=share):
            return state._replace(share=share), ()
    held, changed = step_holds(state.holds, event, now_ms)
    return state._replace(holds=held), (HoldsChanged(changed),) if changed else ()


def _with_wallet(state: GateState, event: WalletSeen, now_s: float) -> GateState:
    before, funds = state.funds.wallet, state.funds.seen(event.wallet, now_s, was_asked=event.was_asked)
    found, after = _with_funds(state, funds), funds.wallet
    if after is before or (after and before and after.wallet_balance == before.wallet_balance):
        return found
    return found._replace(balance_changes=state.balance_changes + 1)


def _with_funds(state: GateState, funds: Funds) -> GateState:
    """As `_replace`, in a third of its time."""
    holds, _, auth, breaker, rates, warned, brake, share, balance_changes = state
    return GateState(holds, funds, auth, breaker, rates, warned, brake, share, balance_changes)


def _decided(state: GateState, verdict: Verdict, now_s: float) -> tuple[GateState, tuple[Effect, ...]]:
    """Apply what a verdict changes. On the hot path."""
    holds, funds, auth, breaker, rates, warned, brake, share, balance_changes = state
    refusal, strategy, changes = verdict
    warnings: tuple[Effect, ...] = ()
    if refusal is None and (rate := rates[strategy]).per_minute:
        rates = {**rates, strategy: rate.counted(now_s)}
    for change in changes:
        if isinstance(change, Promise):
            funds = funds.promising(change.margin, now_s if change.is_probe else None)
        elif isinstance(change, CapWarned):
            warned, warnings = warned | {change.key}, (*warnings, change)
        else:
            warned -= {change.key}
    return GateState(holds, funds, auth, breaker, rates, warned, brake, share, balance_changes), warnings
