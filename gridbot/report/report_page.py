"""The page of a report: figures as text in a template that escapes every word. Reads no clock and no records."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.report import page_assets, page_text
from gridbot.report.figures import Figures, LevelTable
from gridbot.report.headline import cards, heading, kind_of_money
from gridbot.report.money_split import CENT, Part
from gridbot.version import __version__

__all__ = ["Bar", "SplitLine", "bar", "render", "split_lines", "widest"]


def render(figures: Figures, made_ms: int) -> str:
    """The whole page. `made_ms`: when it was made, ms UTC. Raise ModuleNotFoundError without jinja2."""
    from jinja2 import Environment, StrictUndefined  # not earlier: it comes with the extra gridbot[backtest]
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {name: getattr(page_text, name) for name in page_text.__all__}
    environment.globals |= {"bar": bar, "widest": widest}
    strategies = [*figures.parts, *figures.shadows]
    lines = split_lines(figures)
    return environment.from_string(page_assets.template()).render(
        figures=figures,
        asked=figures.asked,
        together=figures.together,
        heading=heading(figures),
        kind=kind_of_money(figures),
        cards=cards(figures),
        split=lines,
        places=_places(lines),
        strategies=strategies,
        tables_of={number: _tables(figures, part) for number, part in enumerate(strategies)},
        drawn={chart["id"] for chart in figures.charts if chart["x"] and chart["series"]},
        made=page_text.moment(made_ms),
        version=__version__,
        policy=Markup(page_assets.policy()),
        style=Markup(page_assets.style()),
        script=Markup(page_assets.script()),
        licence=Markup(page_assets.licence().replace("--", "- -")),
        uplot=page_assets.UPLOT_VERSION,
        data=Markup(page_assets.safe_json(_drawing(figures))),
    )


def _drawing(figures: Figures) -> dict[str, Any]:
    asked, scale = figures.asked, figures.scale
    return {"from_ms": asked.from_ms, "to_ms": asked.to_ms, "step_ms": scale.step_ms, "charts": figures.charts}


def _tables(figures: Figures, part: Part) -> list[LevelTable]:
    key = (part.strategy, part.symbol, part.shadow)
    return [table for table in figures.levels if (table.strategy, table.symbol, table.shadow) == key]


@dataclass(frozen=True, slots=True)
class SplitLine:
    """A line of the money split: `kind` is sum or total for what is added up of the lines above, else empty."""

    name: str
    amount: Decimal
    text: str
    kind: str = ""


def split_lines(figures: Figures) -> list[SplitLine]:
    """What the money is made of. All lines but the sums add up to the last one, exactly."""
    whole = figures.asked.strategy is None
    money = figures.money if whole else None
    of = money or figures.together
    lines = [
        SplitLine("Grid profit", of.grid_profit, "matched pairs: bought low and sold high, or the other way round"),
        SplitLine(
            "Inventory", of.inventory, "realised beyond the pairs: closed at another price than the average entry"
        ),
        SplitLine("Realised", of.realised, "both together, as the exchange books it", "sum"),
        SplitLine("Fees", -of.fees, "trading fees, taxes included"),
        SplitLine("Funding", -of.funding, "paid (−) or received (+) for holding positions"),
        SplitLine(
            "Unrealised", of.unrealised_change, "change of what the open positions would bring at the mark price"
        ),
    ]
    if money is None:
        word = (
            "what the equity changed by is not known" if whole else "what this strategy changed of the account's equity"
        )
        return [*lines, SplitLine("Result", figures.together.total, word, "total")]
    if money.outside:
        text = "executions before the first or after the last balance"
        lines.append(SplitLine("Not in the balances", -money.outside, text))
    text = "rounding" if abs(money.unexplained) < CENT else "no execution and no open position accounts for it"
    lines.append(SplitLine("Not explained", money.unexplained, text))
    before, after = money.before, money.after
    text = f"from {page_text.money(before.equity)} at {page_text.moment(before.at_ms)} "
    text += f"to {page_text.money(after.equity)} at {page_text.moment(after.at_ms)} UTC"
    return [*lines, SplitLine("Change of equity", money.change, text, "total")]


def _places(lines: list[SplitLine]) -> int:
    """Decimals of the split: enough to see that it adds up, fewer for large amounts."""
    return 4 if max(abs(line.amount) for line in lines) < 10_000 else 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar between −100 and 100."""

    x: float
    width: float
    tone: str


def widest(values: list[Decimal]) -> Decimal:
    """The largest amount, which the bars of a table are measured by."""
    return max((abs(value) for value in values), default=Decimal(0))


def bar(value: Decimal, largest: Decimal) -> Bar:
    """The bar of an amount in a table whose largest is `largest`."""
    if not largest:
        return Bar(0, 0, "")
    width = round(float(100 * abs(value) / largest), 1)
    return Bar(-width if value < 0 else 0, width, "down" if value < 0 else "up")
