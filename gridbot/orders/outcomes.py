"""What the answer to a request means for the order it was about. Tables, pure.

A request has one of four outcomes: *confirmed* (acknowledged), *rejected* (refused, and known to have had no effect),
*denied* (by us, before it left) and *unresolved* (the reply was lost, or contradicts what we know). A lost reply never
means rejected (incidents L2, L3).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from gridbot.core.quick_values import quick_value
from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome
from gridbot.exchange.requests import OrderAck

__all__ = [
    "Next",
    "OrderOutcome",
    "OrderResult",
    "Verdict",
    "after_cancel",
    "after_place",
    "result_of_cancel",
    "result_of_place",
]

REDUCE_ONLY_ZERO = 110017


class Next(StrEnum):
    """What happens to the order now."""

    REJECT = "reject"
    """It does not exist; the strategy may ask again."""
    RETRY = "retry"
    """It does not exist and the cause is temporary: send the same order again soon, under the same wire id."""
    LOOK_UP = "look_up"
    """It may exist: ask by orderLinkId before anything else happens at its level."""
    KEEP = "keep"
    """A cancel was refused and the order stays as it is."""


@quick_value(frozen=True, slots=True)
class Verdict:
    """`next` for the order itself; the flags say what else has to be done."""

    next: Next
    breaker: bool = False
    refresh_positions: bool = False
    refresh_wallet: bool = False
    auth: bool = False
    halt: bool = False
    symbol: bool = False


_PLACE: dict[ErrorKind, Verdict] = {
    ErrorKind.RATE_LIMIT: Verdict(Next.RETRY),
    ErrorKind.IP_BAN: Verdict(Next.RETRY),
    ErrorKind.RETRY: Verdict(Next.RETRY),
    ErrorKind.AMBIGUOUS: Verdict(Next.LOOK_UP),
    ErrorKind.DUPLICATE: Verdict(Next.LOOK_UP),
    ErrorKind.RESYNC: Verdict(Next.REJECT, breaker=True, refresh_positions=True),
    ErrorKind.BALANCE: Verdict(Next.REJECT, breaker=True, refresh_wallet=True),
    ErrorKind.AUTH: Verdict(Next.REJECT, auth=True),
    ErrorKind.NOT_FOUND: Verdict(Next.REJECT, breaker=True),
    ErrorKind.PARAM: Verdict(Next.REJECT, breaker=True),
    ErrorKind.NOOP: Verdict(Next.LOOK_UP),
    ErrorKind.SYMBOL: Verdict(Next.REJECT, symbol=True),
    ErrorKind.NO_LEASE: Verdict(Next.REJECT),
    ErrorKind.HALT: Verdict(Next.REJECT, halt=True),
}

_CANCEL: dict[ErrorKind, Verdict] = {
    ErrorKind.RATE_LIMIT: Verdict(Next.RETRY),
    ErrorKind.IP_BAN: Verdict(Next.RETRY),
    ErrorKind.RETRY: Verdict(Next.RETRY),
    ErrorKind.AMBIGUOUS: Verdict(Next.LOOK_UP),
    ErrorKind.DUPLICATE: Verdict(Next.LOOK_UP),
    ErrorKind.RESYNC: Verdict(Next.LOOK_UP),
    ErrorKind.BALANCE: Verdict(Next.KEEP),
    ErrorKind.AUTH: Verdict(Next.KEEP, auth=True),
    ErrorKind.NOT_FOUND: Verdict(Next.LOOK_UP),
    ErrorKind.PARAM: Verdict(Next.LOOK_UP),
    ErrorKind.NOOP: Verdict(Next.LOOK_UP),
    ErrorKind.SYMBOL: Verdict(Next.LOOK_UP),
    ErrorKind.NO_LEASE: Verdict(Next.KEEP),
    ErrorKind.HALT: Verdict(Next.KEEP),
}


def after_place(error: ExchangeError) -> Verdict:
    """What to do about a refused or lost create request."""
    verdict = _PLACE[error.kind]
    if verdict.next in (Next.REJECT, Next.RETRY) and error.outcome is not Outcome.NOT_CREATED:
        return Verdict(Next.LOOK_UP, auth=verdict.auth)
    return verdict


def after_cancel(error: ExchangeError) -> Verdict:
    """What to do about a refused or lost cancel request."""
    return _CANCEL[error.kind]


class OrderOutcome(StrEnum):
    """How one request to create, or cancel, an order ended."""

    CONFIRMED = "confirmed"
    """The exchange accepted it. The state of the order comes by stream or listing."""
    REJECTED = "rejected"
    """The exchange refused it, and it had no effect."""
    DENIED = "denied"
    """We did not send it."""
    UNRESOLVED = "unresolved"
    """It may have had its effect: look the order up first."""


class OrderResult(NamedTuple):
    """The outcome of one request.

    `ack` is set when it was confirmed, `error` when it was rejected or is unresolved; `reason` says why it was denied.
    """

    outcome: OrderOutcome
    ack: OrderAck | None = None
    error: ExchangeError | None = None
    reason: str = ""

    @classmethod
    def denied(cls, reason: str) -> OrderResult:
        """The result of a request that we did not send."""
        return cls(OrderOutcome.DENIED, reason=reason)


def result_of_place(answer: OrderAck | ExchangeError) -> OrderResult:
    """The outcome of a create request."""
    return _result(answer, after_place)


def result_of_cancel(answer: OrderAck | ExchangeError) -> OrderResult:
    """The outcome of a cancel request."""
    return _result(answer, after_cancel)


def _result(answer: OrderAck | ExchangeError, judge: Callable[[ExchangeError], Verdict]) -> OrderResult:
    if isinstance(answer, OrderAck):
        return OrderResult(OrderOutcome.CONFIRMED, ack=answer)
    is_open = judge(answer).next is Next.LOOK_UP
    return OrderResult(OrderOutcome.UNRESOLVED if is_open else OrderOutcome.REJECTED, error=answer)
