"""The page of a report: figures as text in a template that escapes every word. Pure, but for the template's file."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gridbot.report import page_assets, page_text
from gridbot.report.figures import Figures, LevelTable
from gridbot.report.money_split import CENT, Part
from gridbot.version import __version__

__all__ = ["Bar", "render", "summary"]

MONEY_OF: Final = {
    "paper": "paper money",
    "testnet": "test money (testnet)",
    "demo": "test money (Bybit demo)",
    "mainnet": "real money",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar between −100 and 100."""

    x: float
    width: float
    tone: str


def render(figures: Figures, made_ms: int) -> str:
    """The whole page. `made_ms`: when it was made, ms UTC. Raise ModuleNotFoundError without jinja2."""
    from jinja2 import Environment, StrictUndefined  # not earlier: it comes with the extra gridbot[backtest]

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals |= {name: getattr(page_text, name) for name in page_text.__all__}
    environment.globals |= {"bar": bar, "widest": widest}
    from markupsafe import Markup

    return environment.from_string(page_assets.template()).render(
        figures=figures,
        asked=figures.asked,
        heading=heading(figures),
        kind=kind(figures),
        cards=cards(figures),
        split=money_rows(figures),
        places=money_places(figures),
        strategies=[*figures.parts, *figures.shadows],
        tables_of={number: _tables(figures, part) for number, part in enumerate([*figures.parts, *figures.shadows])},
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


def heading(figures: Figures) -> str:
    """Whose report it is."""
    asked = figures.asked
    whose = asked.account if asked.strategy is None else f"{asked.account} / {asked.strategy}"
    return f"{asked.run}: {whose}" if asked.run else whose


def kind(figures: Figures) -> str:
    """Which money it was."""
    if figures.backtest is not None or figures.asked.run:
        return "backtest"
    return MONEY_OF.get(figures.environment, figures.environment or "unknown environment")


def summary(figures: Figures) -> str:
    """The headline as one line for a terminal."""
    asked = figures.asked
    span = f"{page_text.moment(asked.from_ms)} to {page_text.moment(asked.to_ms)} UTC"
    total = f"{page_text.signed(figures.total)} USDT" if figures.total is not None else "change of equity not known"
    held = f", holding {page_text.signed(figures.held.change)}" if figures.held else ""
    return f"{heading(figures)}, {kind(figures)}, {span}: {total}{held}; {len(figures.cautions)} warnings"


def cards(figures: Figures) -> list[tuple[str, str, str, str]]:
    """Title, figure, line below it and class of each headline."""
    t = page_text
    money, found = figures.money, []
    if figures.total is None:
        found.append(("Result", t.signed(None), "no balance is recorded in this span", ""))
    elif figures.asked.strategy is not None:
        found.append(("Result of this strategy", f"{t.signed(figures.total)} USDT", "after fees, funding and open positions", t.tone(figures.total)))  # fmt: skip
    elif money is not None:
        line = f"{t.percent(money.change_ratio, sign=True)} of {t.money(money.before.equity)} USDT"
        found.append(("Result", f"{t.signed(money.change)} USDT", line, t.tone(money.change)))
    if figures.held is not None:
        line = f"the same capital in {', '.join(end.symbol.removesuffix('USDT') for end in figures.held.symbols)}"
        found.append(("Holding instead", f"{t.signed(figures.held.change)} USDT", line, t.tone(figures.held.change)))
    if figures.money is not None:
        fall = figures.falls[0] if figures.falls else None
        figure = f"{t.money(-fall.depth)} USDT" if fall else "none"
        line = f"{t.percent(fall.ratio)} of the equity before it" if fall else "the equity never fell"
        found.append(("Deepest fall", figure, line, "down" if fall else ""))
    fills, pairs = sum(part.fills for part in figures.parts), sum(part.pairs for part in figures.parts)
    profit = sum((part.grid_profit for part in figures.parts), Decimal(0))
    found.append(("Grid profit", f"{t.signed(profit)} USDT", f"{t.count(pairs)} pairs closed, {t.count(fills)} fills; before fees", t.tone(profit)))  # fmt: skip
    paid = sum((part.fees + part.funding for part in figures.parts), Decimal(0))
    found.append(("Fees and funding", f"{t.signed(-paid)} USDT", "what trading and holding positions cost", t.tone(-paid)))  # fmt: skip
    near = figures.nearest[0] if figures.nearest else None
    if near:
        line = f"{near.symbol} {near.direction}, price to liquidation, {t.moment(near.at_ms)}"
        found.append(("Nearest to liquidation", t.percent(near.distance), line, "down" if (near.distance or 0) < 0.1 else ""))  # fmt: skip
    else:
        found.append(("Nearest to liquidation", "never near", "no position had a liquidation price", ""))
    if figures.most_exposed is not None:
        mean = t.times(figures.mean_exposure)
        found.append(("Highest exposure", t.times(figures.most_exposed.ratio), f"positions / equity; {mean} on average", ""))  # fmt: skip
    return found


def money_places(figures: Figures) -> int:
    """Decimals of the money tables: enough to see that the parts add up, fewer for large amounts."""
    amounts = [abs(amount) for _, amount, _, _ in money_rows(figures) if amount is not None]
    return 4 if max(amounts, default=Decimal(0)) < 10_000 else 2


def money_rows(figures: Figures) -> list[tuple[str, Decimal | None, str, str]]:
    """Name, USDT, explanation and class of each line of the split; they add up to the last."""
    if figures.money is None or figures.asked.strategy is not None:
        source: Any = _Sum(figures.parts)
    else:
        source = figures.money
    rows: list[tuple[str, Decimal | None, str, str]] = [
        ("Grid profit", source.grid_profit, "matched pairs: bought low and sold high, or the other way round", ""),
        ("Inventory", source.inventory, "realised beyond the pairs: closed at another price than the average entry", ""),
        ("Realised", source.realised, "both together, as the exchange books it", "sum"),
        ("Fees", -source.fees, "trading fees, taxes included", ""),
        ("Funding", -source.funding, "paid or received for holding positions", ""),
        ("Unrealised", source.unrealised_change, "change of what the open positions would bring at the mark price", ""),
    ]
    if figures.asked.strategy is not None:
        return [*rows, ("Result", source.total, "what this strategy changed of the account's equity", "total")]
    if figures.money is None:
        return [*rows, ("Explained", source.total, "the change of equity is not known", "total")]
    money = figures.money
    if money.outside:
        rows.append(("Not in a balance yet", -money.outside, "executions outside of the first and last balance", ""))
    word = "rounding" if abs(money.unexplained) < CENT else "no execution or open position accounts for it"
    rows.append(("Not explained", money.unexplained, word, "" if money.adds_up else "down"))
    span = f"{page_text.money(money.before.equity)} at {page_text.moment(money.before.at_ms)}, "
    span += f"{page_text.money(money.after.equity)} at {page_text.moment(money.after.at_ms)} UTC"
    rows.append(("Change of equity", money.change, span, "total"))
    return rows


class _Sum:
    """The same figures of several strategies together."""

    def __init__(self, parts: list[Part]) -> None:
        for name in ("grid_profit", "inventory", "realised", "fees", "funding", "unrealised_change", "total"):
            setattr(self, name, sum((getattr(part, name) for part in parts), Decimal(0)))


def widest(values: list[Decimal]) -> Decimal:
    """The largest amount, which the bars of a table are measured by."""
    return max((abs(value) for value in values), default=Decimal(0))


def bar(value: Decimal, largest: Decimal) -> Bar:
    """The bar of an amount in a table whose largest is `largest`."""
    if not largest:
        return Bar(0, 0, "")
    width = round(float(100 * abs(value) / largest), 1)
    return Bar(-width if value < 0 else 0, width, "down" if value < 0 else "up")
