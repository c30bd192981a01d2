"""What happened to an account beside its trades, as the records answer. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Adjustment", "Alert", "Halt", "Lost", "OtherCoin", "Refusal", "Run", "Unusual"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Orders that were not placed: by our gate (`ret_code` None) or by the exchange."""

    strategy: str
    ret_code: int | None
    reason: str
    times: int
    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt of trading: how often it was set, and whether it still was at the end."""

    strategy: str
    kind: str
    times: int
    first_ms: int
    last_ms: int
    reason: str | None
    still: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """Alerts of one kind."""

    level: str
    key: str
    strategy: str
    times: int
    first_ms: int
    last_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the worker; `ended_ms` None when nobody knows. `is_first`: the account had none before."""

    run_id: str
    environment: str | None
    version: str | None
    started_ms: int
    ended_ms: int | None
    state: str
    reason: str | None
    config_hash: str | None
    config: str | None
    is_first: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that are not in the file."""

    reason: str
    records: int


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The exchange's position was believed instead of ours."""

    strategy: str
    symbol: str
    direction: str
    at_ms: int
    size_before: Decimal
    size: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Unusual:
    """An execution that is neither a trade nor a funding."""

    strategy: str
    symbol: str
    direction: str
    at_ms: int
    exec_type: str
    side: str
    price: Decimal
    qty: Decimal
    realised_pnl: Decimal
    shadow: bool


@dataclass(frozen=True, slots=True)
class OtherCoin:
    """Executions whose fee was charged in another coin than USDT."""

    coin: str | None
    executions: int
