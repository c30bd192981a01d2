"""What an answer of the exchange means for the order it was about. A table, pure.

Four outcomes: *confirmed* (an acknowledgement), *rejected* (proved not created), *denied* (by our own gate, which never
gets here) and *unresolved* (the reply was lost). Nothing becomes rejected because a reply was lost (incidents L2, L3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gridbot.exchange.failures import ErrorKind, ExchangeError, Outcome

__all__ = ["Next", "Verdict", "after_cancel", "after_place"]

REDUCE_ONLY_ZERO = 110017


class Next(StrEnum):
    """What happens to the order now."""

    REJECT = "reject"
    """It does not exist; the strategy may ask again."""
    RETRY = "retry"
    """It does not exist and the cause is passing: the same order, same wire id, in a moment."""
    LOOK_UP = "look_up"
    """It may exist: ask by orderLinkId before anything else happens at its level."""
    KEEP = "keep"
    """A cancel was refused and the order stays as it is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`next` for the order; the flags are for the rest of the house."""

    next: Next
    breaker: bool = False
    refresh_positions: bool = False
    refresh_wallet: bool = False
    auth: bool = False
    halt: bool = False


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
