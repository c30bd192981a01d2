"""Everything that can go wrong with the exchange, as one tree.

    ExchangeError            kind (what it is), outcome (whether the order it was about exists)
    ├─ TransientError        RATE_LIMIT, IP_BAN, RETRY, NO_LEASE: the same request may be sent again, same orderLinkId
    ├─ UnresolvedError       AMBIGUOUS, DUPLICATE: ask by orderLinkId before anything else happens
    ├─ RefusedError          RESYNC, NOT_FOUND, BALANCE, PARAM, NOOP, SYMBOL: never send the same again unchanged
    ├─ AccountError          AUTH, HALT: stop opening and tell the operator
    └─ TruncatedListing      a listing was incomplete and has been discarded (kind AMBIGUOUS: nothing is known)

The tree says what to do about a failure. `bybit/error_mapping.py` maps codes and exceptions to it.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "OUTCOMES_BY_KIND",
    "AccountError",
    "ErrorKind",
    "ExchangeError",
    "Outcome",
    "RefusedError",
    "TransientError",
    "TruncatedListing",
    "UnresolvedError",
    "make_error",
]


class ErrorKind(StrEnum):
    """What an error is, which decides what may be done about it."""

    RATE_LIMIT = "rate_limit"
    """This account sent too much to one endpoint: wait for the window (`X-Bapi-Limit-Reset-Timestamp`)."""
    IP_BAN = "ip_ban"
    """This address sent too much: every account on it stays silent for ten minutes."""
    RETRY = "retry"
    """Temporary, and nothing was done: the same request may be sent again."""
    AMBIGUOUS = "ambiguous"
    """The answer was lost and the request may have taken effect: look it up first."""
    RESYNC = "resync"
    """What we know of orders or positions is wrong: read them again, then decide."""
    AUTH = "auth"
    """The key is wrong, expired or lacks a permission."""
    DUPLICATE = "duplicate"
    """This id was used before, probably by an earlier try: look the order up."""
    NOT_FOUND = "not_found"
    """The order is not open any more (it probably filled): read it again."""
    BALANCE = "balance"
    """Not enough margin."""
    PARAM = "param"
    """The request is wrong as it stands: never send it unchanged."""
    NOOP = "noop"
    """It was so already; this counts as success."""
    SYMBOL = "symbol"
    """The symbol takes no such order now (reduce only, in delivery, not live): such orders wait, its state is read."""
    NO_LEASE = "no_lease"
    """Not sent: another host may hold the account now (docs/fleet.md). It may be sent when the lease is back."""
    HALT = "halt"
    """The account or the symbol is restricted: stop opening and tell the operator."""


class Outcome(StrEnum):
    """Whether the order a failed request was about exists (incident L3)."""

    NOT_CREATED = "not_created"
    UNKNOWN = "unknown"
    EXISTS = "exists"


OUTCOMES_BY_KIND: dict[ErrorKind, Outcome] = {
    **dict.fromkeys(ErrorKind, Outcome.NOT_CREATED),
    ErrorKind.AMBIGUOUS: Outcome.UNKNOWN,
    ErrorKind.DUPLICATE: Outcome.EXISTS,
}


class ExchangeError(Exception):
    """The exchange refused, failed or could not be reached.

    `ret_code` is Bybit's number (None when its application did not answer), `http_status` the HTTP status when that was
    not 200. `message` never holds a secret or a signature text. `outcome` says whether an order that was to be created
    exists now; without one given it follows from `kind`. `is_unknown`: the code is in no table of ours, so `kind` says
    only what to do about the order. With an IP_BAN nothing may be sent for `silence_s` seconds.
    """

    silence_s = 600.0
    """Bybit's rule, where no other figure is known."""
    is_told = True
    """Whether the exchange has said so; False where nothing was sent for what it had said before."""

    def __init__(
        self,
        message: str,
        *,
        kind: ErrorKind,
        outcome: Outcome | None = None,
        ret_code: int | None = None,
        http_status: int | None = None,
        is_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.outcome = OUTCOMES_BY_KIND[kind] if outcome is None else outcome
        self.ret_code = ret_code
        self.http_status = http_status
        self.is_unknown = is_unknown

    def __str__(self) -> str:
        if self.ret_code is not None:
            return f"{self.message} (retCode {self.ret_code}, {self.kind})"
        if self.http_status is not None:
            return f"{self.message} (HTTP {self.http_status}, {self.kind})"
        return f"{self.message} ({self.kind})"


class TransientError(ExchangeError):
    """Temporary and without effect: the same request may be sent again after a wait."""


class UnresolvedError(ExchangeError):
    """The request may have taken effect, now or in an earlier try: look it up before anything else."""


class RefusedError(ExchangeError):
    """The request is not possible as it is; sent again unchanged it gets the same answer."""


class AccountError(ExchangeError):
    """The key, the account or the symbol may not do this; an operator has to act."""


class TruncatedListing(ExchangeError):
    """A listing was incomplete; no part of it may be used (incidents L49, L50)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, kind=ErrorKind.AMBIGUOUS)


_LEAVES: dict[ErrorKind, type[ExchangeError]] = {
    ErrorKind.RATE_LIMIT: TransientError,
    ErrorKind.IP_BAN: TransientError,
    ErrorKind.RETRY: TransientError,
    ErrorKind.NO_LEASE: TransientError,
    ErrorKind.AMBIGUOUS: UnresolvedError,
    ErrorKind.DUPLICATE: UnresolvedError,
    ErrorKind.RESYNC: RefusedError,
    ErrorKind.NOT_FOUND: RefusedError,
    ErrorKind.BALANCE: RefusedError,
    ErrorKind.PARAM: RefusedError,
    ErrorKind.NOOP: RefusedError,
    ErrorKind.SYMBOL: RefusedError,
    ErrorKind.AUTH: AccountError,
    ErrorKind.HALT: AccountError,
}


def make_error(
    message: str,
    kind: ErrorKind,
    *,
    outcome: Outcome | None = None,
    ret_code: int | None = None,
    http_status: int | None = None,
    is_unknown: bool = False,
) -> ExchangeError:
    """The leaf of the tree that belongs to `kind`."""
    leaf = _LEAVES[kind]
    return leaf(message, kind=kind, outcome=outcome, ret_code=ret_code, http_status=http_status, is_unknown=is_unknown)
