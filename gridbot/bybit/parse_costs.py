"""What an execution cost, by coin: Bybit's `execFee`, `feeCurrency` and `extraFees`. Pure.

`extraFees` are taxes such as GST and VAT on top of `execFee`: a list on the stream, JSON text in REST. A fee in another
coin than the settle coin takes nothing from its balance, so it is no USDT. An empty currency (before September 2025,
and on funding) is the settle coin.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from gridbot.bybit.raw_fields import Row, decimal_or_none, need_decimal, text_of
from gridbot.core.vocabulary import SETTLE_COIN
from gridbot.doors.bounded_json import JsonMistake, read_json

__all__ = ["Costs", "costs_of"]

ZERO = Decimal(0)


class Costs(NamedTuple):
    """`fee`: all that is charged in USDT, `taxes` the part of it that is on top of the exchange's own fee.

    `currency`: that of the exchange's own fee. `other`: what is charged in other coins, by coin.
    """

    fee: Decimal
    currency: str
    taxes: Decimal = ZERO
    other: tuple[tuple[str, Decimal], ...] = ()


def costs_of(row: Row, *, always_told: bool = False) -> Costs:
    """Of a row of execution/list or the `execution` topic.

    `always_told`: the type of the row always has a fee, so that an empty one is as unreadable as one that is no number
    (FieldError). What cannot be read of `extraFees` is left out: the transaction log brings the difference, and a fill
    must not be lost for a tax.
    """
    is_silent = not always_told and row.get("execFee") in ("", None)
    own, currency = ZERO if is_silent else need_decimal(row, "execFee"), text_of(row, "feeCurrency") or SETTLE_COIN
    extra = row.get("extraFees")
    if not extra and currency == SETTLE_COIN:  # nearly always
        return Costs(own, currency)
    taxes: dict[str, Decimal] = {}
    for entry in _entries(extra):
        amount = decimal_or_none(entry.get("fee"))
        if amount is not None:
            coin = text_of(entry, "feeCoin") or currency
            taxes[coin] = taxes.get(coin, ZERO) + amount
    taxed = taxes.pop(SETTLE_COIN, ZERO)
    if currency == SETTLE_COIN:
        return Costs(own + taxed, currency, taxed, tuple(taxes.items()))
    other = {currency: own} | taxes
    other[currency] = own + taxes.get(currency, ZERO)
    return Costs(taxed, currency, taxed, tuple(other.items()))


def _entries(extra: Any) -> list[dict[str, Any]]:
    if isinstance(extra, str | bytes) and extra:
        try:
            extra = read_json(extra)
        except JsonMistake:
            return []
    return [entry for entry in extra if isinstance(entry, dict)] if isinstance(extra, list) else []
