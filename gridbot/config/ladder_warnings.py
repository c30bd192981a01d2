"""Warnings about ladders as they were worked out: more than the wallet can hold, no wallet, an absurd range. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from gridbot.config.ladder_report import LadderReport
from gridbot.core.margin import LEAST_RESERVE_FEE, order_cost
from gridbot.core.vocabulary import Direction

__all__ = ["ladder_warnings"]

USUAL_LEVERAGE: Final = Decimal(10)
"""What Bybit sets for a symbol that nobody has changed."""
LOWEST_PERCENT: Final = Decimal(-80)
HIGHEST_PERCENT: Final = Decimal(400)


def ladder_warnings(reports: Sequence[LadderReport]) -> Iterator[str]:
    """One sentence each: of strategies, then of accounts."""
    for report in reports:
        yield from _range_warnings(report)
    for account in dict.fromkeys(report.strategy.account for report in reports):
        live = [r for r in reports if r.strategy.account == account and not r.strategy.shadow_mode]
        if live:
            yield from _wallet_warnings(account, live)


def _range_warnings(report: LadderReport) -> Iterator[str]:
    if not report.rows:
        return
    highest, lowest = report.rows[0].percent, report.rows[-1].percent
    if lowest < LOWEST_PERCENT or highest > HIGHEST_PERCENT:
        yield (
            f"strategy {report.strategy.strat_id}: its grid reaches from {lowest:+.0f} % to {highest:+,.0f} % of the "
            "price; expected a range a price may see, so look at grid_count and grid_step"
        )


def _wallet_warnings(account: str, reports: Sequence[LadderReport]) -> Iterator[str]:
    wallet = reports[0].wallet
    if wallet is None:
        return
    if wallet <= 0:
        yield f"account {account}: its wallet is 0 USDT; every order would be refused"
        return
    needed = sum((_margin(report) for report in reports), Decimal(0))
    if needed > wallet:
        yield (
            f"account {account}: all opening orders together lock {needed:.2f} USDT of margin and fees, its wallet is "
            f"{wallet:f} USDT; the exchange would refuse the rest (110007), so lower amount or grid_count"
        )


def _margin(report: LadderReport) -> Decimal:
    leverage = report.strategy.leverage or USUAL_LEVERAGE
    parts = (
        order_cost(Direction(total.direction), total.notional, leverage, LEAST_RESERVE_FEE) for total in report.totals
    )
    return sum(parts, Decimal(0))
