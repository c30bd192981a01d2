"""What the full ladders of an account need, and where it would be liquidated. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from gridbot.core.margin import LegMargin
from gridbot.doctor.filled_ladder import NOTHING, Filled, SymbolBook, filled
from gridbot.doctor.findings import Finding, Verdict

__all__ = ["NEAR", "margin_findings", "percent"]

NEAR: Final = Decimal("0.1")
"""Part of the price beyond the last level within which a liquidation is worth a warning."""
MOST_PRICES: Final = 4


def margin_findings(
    account: str, books: Sequence[SymbolBook], balance: Decimal, others: LegMargin = NOTHING
) -> list[Finding]:
    """`margin` and `liquidation`. `balance` is the margin balance now (USDT), `others` what other positions need."""
    bare = balance - sum((book.unrealised(book.price) for book in books), Decimal(0))
    ways = {"fall": filled(books, bare, up=False, others=others), "rise": filled(books, bare, up=True, others=others)}
    return [_margin(account, balance, ways), *_liquidation(account, books, ways)]


def _margin(account: str, balance: Decimal, ways: dict[str, Filled]) -> Finding:
    texts, is_short = [], False
    for way, found in ways.items():
        full = found.full
        is_short = is_short or full.initial > full.balance
        texts.append(
            f"when prices {way}, full ladders (at {percent(full.move)}) take {full.initial:.2f} of the "
            f"{full.balance:.2f} USDT that are left then"
        )
    text = f"{'; '.join(texts)}; now {balance:.2f}"
    if is_short:
        remedy = "the exchange refuses the last levels (110007): lower amount or grid_count, or add funds"
        return Finding("margin", Verdict.WARNING, f"{text}; {remedy}", account)
    return Finding("margin", Verdict.OK, text, account)


def _liquidation(account: str, books: Sequence[SymbolBook], ways: dict[str, Filled]) -> list[Finding]:
    verdict, texts = Verdict.OK, []
    for way, found in ways.items():
        if found.liquidated is None:
            texts.append(f"never when prices {way}")
            continue
        texts.append(f"at {percent(found.liquidated)} when prices {way} ({_prices(books, found.liquidated)})")
        if found.is_before_full:
            verdict = Verdict.REFUSED
        elif verdict is Verdict.OK and abs(found.liquidated) - abs(found.full.move) < NEAR:
            verdict = Verdict.WARNING
    text = ", ".join(texts)
    if verdict is Verdict.REFUSED:
        text += "; that is before the ladders are full: lower amount or grid_count, or add funds"
    elif verdict is Verdict.WARNING:
        text += f"; expected {NEAR * 100:.0f} % of the price at least beyond the last level: lower amount or grid_count"
    return [Finding("liquidation", verdict, f"liquidated {text}", account)]


def _prices(books: Sequence[SymbolBook], move: Decimal) -> str:
    prices = [f"{book.symbol} {_shown(book.price * (1 + move))}" for book in books[:MOST_PRICES]]
    more = len(books) - MOST_PRICES
    return ", ".join([*prices, *([f"and {more} more"] if more > 0 else [])])


def _shown(price: Decimal) -> str:
    """Five digits are enough for a price that nobody will trade at."""
    return f"{price:.5g}" if price < 10_000 else f"{price:.0f}"


def percent(part: Decimal) -> str:
    """A part as percent with its sign: -12.5 %."""
    return f"{part * 100:+.1f} %"
