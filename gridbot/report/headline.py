"""The figures at the head of the page, and the headline as one line for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from gridbot.report.figures import Figures
from gridbot.report.page_text import count, moment, money, percent, signed, times, tone

__all__ = ["Card", "cards", "heading", "kind_of_money", "summary"]

MONEY_OF: Final = {
    "paper": "paper money",
    "testnet": "test money (testnet)",
    "demo": "test money (Bybit demo)",
    "mainnet": "real money",
}
NEAR: Final = 0.1
"""A position nearer to its liquidation price than this part of the price is shown in red."""


@dataclass(frozen=True, slots=True)
class Card:
    """A figure with its name, a line of explanation, and the class that colours it: up, down or nothing."""

    name: str
    figure: str
    line: str
    tone: str = ""


def heading(figures: Figures) -> str:
    """Whose report it is."""
    asked = figures.asked
    whose = asked.account if asked.strategy is None else f"{asked.account} / {asked.strategy}"
    return f"{asked.run}: {whose}" if asked.run else whose


def kind_of_money(figures: Figures) -> str:
    """Real, paper, test, or none at all."""
    if figures.backtest is not None or figures.asked.run:
        return "backtest"
    return MONEY_OF.get(figures.environment, figures.environment or "unknown environment")


def summary(figures: Figures) -> str:
    """One line."""
    asked = figures.asked
    span = f"{moment(asked.from_ms)} to {moment(asked.to_ms)} UTC"
    total = f"{signed(figures.total)} USDT" if figures.total is not None else "change of equity not known"
    held = f", holding {signed(figures.held.change)}" if figures.held else ""
    warnings = len(figures.cautions)
    told = f"{warnings} warning{'' if warnings == 1 else 's'}"
    return f"{heading(figures)}, {kind_of_money(figures)}, {span}: {total}{held}; {told}"


def cards(figures: Figures) -> list[Card]:
    """The most important first."""
    return [*_result(figures), *_trading(figures), *_danger(figures)]


def _usdt(name: str, value: Decimal, line: str) -> Card:
    return Card(name, f"{signed(value)} USDT", line, tone(value))


def _result(figures: Figures) -> Iterator[Card]:
    balance = figures.money
    if figures.total is None:
        yield Card("Result", signed(None), "no balance is recorded in this span")
    elif figures.asked.strategy is not None:
        yield _usdt("Result of this strategy", figures.total, "after fees and funding, with open positions")
    elif balance is not None:
        line = f"{percent(balance.change_ratio, sign=True)} of {money(balance.before.equity)} USDT"
        yield _usdt("Result", figures.total, line)
    if figures.held is not None:
        coins = ", ".join(end.symbol.removesuffix("USDT") for end in figures.held.symbols)
        yield _usdt("Holding instead", figures.held.change, f"the same capital in {coins}")
    if balance is None:
        return
    fall = figures.falls[0] if figures.falls else None
    name = "Deepest fall" if figures.asked.strategy is None else "Deepest fall, whole account"
    if fall is None:
        yield Card(name, "none", "the equity never fell")
    else:
        yield _usdt(name, -fall.depth, f"{percent(fall.ratio)} of the equity before it")


def _trading(figures: Figures) -> Iterator[Card]:
    together = figures.together
    yield _usdt(
        "Grid profit",
        together.grid_profit,
        f"{count(together.pairs)} pair{'' if together.pairs == 1 else 's'} closed, before fees",
    )
    yield _usdt("Fees and funding", -together.fees - together.funding, "the cost of trading and of holding positions")
    yield Card("Fills", count(together.fills), f"{money(together.volume, 0)} USDT of volume")


def _danger(figures: Figures) -> Iterator[Card]:
    near = figures.nearest[0] if figures.nearest else None
    if near is None or near.distance is None:
        yield Card("Nearest to liquidation", "never near", "no position had a liquidation price")
    else:
        beyond = ", beyond its liquidation price" if near.distance < 0 else ""
        line = f"of the price{beyond}: {near.symbol} {near.direction}, {moment(near.at_ms)}"
        figure = "over 100 %" if near.distance > 1 else percent(near.distance)
        yield Card("Nearest to liquidation", figure, line, "down" if near.distance < NEAR else "")
    most = figures.most_exposed
    if most is not None:
        yield Card(
            "Highest exposure", times(most.ratio), f"positions / equity; {times(figures.mean_exposure)} on average"
        )
