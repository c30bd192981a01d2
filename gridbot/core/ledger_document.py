"""An account's ledger as a document that JSON can hold, and back. Decimals are text. Pure.

Older versions: 1 had no executions, only what their legs add up to; 2 only fees in USDT. Files of before the watermark
have no `complete_to`, and ids without a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gridbot.core.account_legs import AccountLegs, LegKey
from gridbot.core.execution_ledger import Ledger, Totals
from gridbot.core.leg_history import Holding, LegHistory
from gridbot.core.leg_history_text import history_of, text_of
from gridbot.core.strict_numbers import saved_decimal, whole_of
from gridbot.core.vocabulary import Direction

__all__ = ["VERSION", "document_of", "ledger_of"]

VERSION = 3


def document_of(ledger: Ledger) -> dict[str, Any]:
    """A JSON-able copy."""
    return {
        "version": VERSION,
        "last_exec_ts": ledger.last_exec_ts,
        "complete_to": ledger.complete_to,
        "checked_to": ledger.checked_to,
        "totals": {name: _text_of_totals(totals) for name, totals in ledger.totals.items()},
        "legs": [
            [name, symbol, str(direction), text_of(history)]
            for (name, symbol, direction), history in ledger.legs.histories.items()
        ],
        "seen": [[exec_id, exchange_ts] for exec_id, exchange_ts in ledger.counted],
        "forgotten_to": ledger.counted.forgotten_to,
    }


def ledger_of(document: Mapping[str, Any]) -> Ledger:
    """The inverse of `document_of`. ValueError, KeyError, TypeError or ArithmeticError for anything else."""
    version = document["version"]
    if version not in range(1, VERSION + 1):
        raise ValueError(f"expected a ledger of version 1 to {VERSION}, got {version}")
    last_exec_ts = whole_of(document["last_exec_ts"])
    complete_to = whole_of(document.get("complete_to", last_exec_ts))
    histories = _histories_of_sums(document["legs"]) if version == 1 else _histories_of(document["legs"])
    ledger = Ledger(
        totals={name: _totals_of(saved) for name, saved in document["totals"].items()},
        last_exec_ts=last_exec_ts,
        complete_to=complete_to,
        checked_to=whole_of(document.get("checked_to", complete_to)),
        legs=AccountLegs.of(histories),
    )
    ledger.counted.forgotten_to = whole_of(document.get("forgotten_to", -1))
    for seen in document["seen"]:
        exec_id, exchange_ts = (seen, 0) if isinstance(seen, str) else seen
        ledger.counted.add(exec_id, whole_of(exchange_ts))
    return ledger


def _text_of_totals(totals: Totals) -> list[Any]:
    others = {coin: str(amount) for coin, amount in totals.other_fees.items()}
    return [totals.fills, str(totals.realised), str(totals.fees), str(totals.funding), others]


def _totals_of(saved: list[Any]) -> Totals:
    fills, realised, fees, funding, *others = saved
    coins = {str(coin): saved_decimal(amount) for each in others for coin, amount in each.items()}
    return Totals(whole_of(fills), saved_decimal(realised), saved_decimal(fees), saved_decimal(funding), coins)


def _histories_of(saved: Iterable[Any]) -> dict[LegKey, LegHistory]:
    keys = [((name, symbol, Direction(direction)), text) for name, symbol, direction, text in saved]
    return {key: history_of(text, key[2]) for key, text in keys}


def _histories_of_sums(saved: Iterable[Any]) -> dict[LegKey, LegHistory]:
    """Of version 1: name, direction, size, entry, symbol.

    Legs without a symbol are of a time when those of nobody were one for all symbols: such a mixture is left out.
    """
    histories: dict[LegKey, LegHistory] = {}
    for name, direction, size, entry, *symbols in saved:
        if name or symbols:
            held = Holding().opened(saved_decimal(size), saved_decimal(entry)) if saved_decimal(size) else Holding()
            history = LegHistory(Direction(direction), before=held, folded=True, now=held)
            histories[name, "".join(symbols), history.direction] = history
    return histories
