"""The page of a report: figures as text in a template that escapes every word. Reads no clock and no records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from gridbot.report import page_assets, page_text
from gridbot.report.figures import Figures, LevelTable
from gridbot.report.headline import cards, heading, kind_of_money
from gridbot.report.money_split import CENT, Part
from gridbot.report.profit_places import TimeSlot
from gridbot.report.report_span import DAY_MS
from gridbot.version import __version__

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["Bar", "SplitLine", "bars", "render", "split_lines"]

ZERO: Final = Decimal(0)


def render(figures: Figures, made_ms: int) -> str:
    """The whole page. `made_ms`: when it was made, ms UTC. Raise ModuleNotFoundError without jinja2."""
    from markupsafe import Markup  # not earlier: it comes with jinja2

    strategies = [*figures.parts, *figures.shadows]
    lines = split_lines(figures)
    return _template().render(
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
        when=[
            ("hour", _slots(figures.hours, whole=figures.asked.length_ms >= DAY_MS)),
            ("weekday", _slots(figures.weekdays, whole=figures.asked.length_ms >= 7 * DAY_MS)),
        ],
        made=page_text.moment(made_ms),
        version=__version__,
        policy=Markup(page_assets.policy()),
        style=Markup(page_assets.style()),
        script=Markup(page_assets.script()),
        licence=Markup(page_assets.licence().replace("--", "- -")),
        uplot=page_assets.UPLOT_VERSION,
        data=Markup(page_assets.safe_json(_drawing(figures))),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # not earlier: it comes with the extra gridbot[backtest]

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {name: getattr(page_text, name) for name in page_text.__all__}
    environment.globals |= {"bars": bars}
    return environment.from_string(page_assets.template())


def _slots(slots: list[TimeSlot], *, whole: bool) -> list[TimeSlot]:
    """All of them, or of a shorter span those that something fell into."""
    return [slot for slot in slots if whole or slot.seen]


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
        *_other(of.other),
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


def _other(amount: Decimal) -> list[SplitLine]:
    text = "booked by the exchange without a trade: dividends, settlements"
    return [SplitLine("Other bookings", amount, text)] if amount else []


def _places(lines: list[SplitLine]) -> int:
    """Decimals of the split: enough to see that it adds up, fewer for large amounts."""
    return 4 if max(abs(line.amount) for line in lines) < 10_000 else 2


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar on a line of 100; `zero` is where it has its zero."""

    x: float
    width: float
    zero: float
    tone: str


def bars(values: Sequence[Decimal]) -> Callable[[Decimal], Bar]:
    """What draws an amount of a table with these amounts: they share one line from the lowest to the highest."""
    low, high = min((ZERO, *values)), max((ZERO, *values))
    room = high - low or Decimal(1)
    zero = round(float(-100 * low / room), 1)

    def bar(value: Decimal) -> Bar:
        width = round(float(100 * abs(value) / room), 1)
        return Bar(zero - width if value < 0 else zero, width, zero, "down" if value < 0 else "up")

    return bar
