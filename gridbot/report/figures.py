"""All figures of a report, from its facts. Pure: whatever the page shows was worked out before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gridbot.report import chart_series
from gridbot.report.backtest_row import Backtest
from gridbot.report.cautions import Caution, cautions
from gridbot.report.event_facts import Run
from gridbot.report.facts import Facts
from gridbot.report.holding import Holding, holding, holding_curve, price_ends
from gridbot.report.money_split import AccountMoney, Part, Totals, account_money, parts
from gridbot.report.position_facts import LegPoint
from gridbot.report.positions_over_time import ExposurePoint, exposure, held, mean_exposure, most_exposed
from gridbot.report.profit_places import LevelBand, TimeSlot, by_hour, by_level, by_weekday
from gridbot.report.report_span import Asked
from gridbot.report.settings_shown import Settings, settings_shown
from gridbot.report.worst_moments import (
    Fall,
    HourChange,
    deepest_falls,
    hour_changes,
    losing_hours,
    nearest_to_liquidation,
)

__all__ = ["Figures", "LevelTable", "figures_from"]


@dataclass(frozen=True, slots=True)
class LevelTable:
    """Matched pairs of one leg of a strategy by level."""

    strategy: str
    symbol: str
    direction: str
    shadow: bool
    bands: list[LevelBand]


@dataclass(frozen=True, slots=True)
class Figures:
    """`parts` are those of the strategies asked for; `money` and what follows from balances is the whole account's."""

    asked: Asked
    money: AccountMoney | None
    parts: list[Part]
    shadows: list[Part]
    held: Holding | None
    falls: list[Fall]
    losing_hours: list[HourChange]
    nearest: list[LegPoint]
    shadow_nearest: list[LegPoint]
    most_exposed: ExposurePoint | None
    mean_exposure: Decimal | None
    most_margin: ExposurePoint | None
    levels: list[LevelTable]
    hours: list[TimeSlot]
    weekdays: list[TimeSlot]
    settings: Settings
    cautions: list[Caution]
    refusals: Sequence[Any]
    runs: list[Run]
    backtest: Backtest | None
    scale: chart_series.Scale
    charts: list[dict[str, Any]]

    @property
    def together(self) -> Totals:
        """The live strategies that were asked for, added up."""
        return Totals.of(self.parts)

    @property
    def total(self) -> Decimal | None:
        """What the headline says: the change of equity; of one strategy what it changed of it. USDT."""
        if self.asked.strategy is not None:
            return self.together.total
        return None if self.money is None else self.money.change

    @property
    def environment(self) -> str:
        """paper, testnet, demo or mainnet of the newest run; empty when no run is known."""
        return next((run.environment for run in reversed(self.runs) if run.environment), "")


def figures_from(asked: Asked, facts: Facts, backtest: Backtest | None = None, tried: int = 0) -> Figures:
    """Everything that a page shows. `tried`: other backtests of the same days with other settings."""
    backtest = backtest and backtest.about(asked.account)
    money = account_money(facts)
    chosen = [part for part in parts(facts) if asked.strategy in (None, part.strategy)]
    live = [part for part in chosen if not part.shadow]
    shadows = [part for part in chosen if part.shadow]
    symbols = {part.symbol for part in live if part.fills} or {part.symbol for part in live}
    capital = money.before.equity if money else Decimal(0)
    what_was_held = holding(capital, price_ends(facts.price_ends, facts.money), symbols)
    exposed = exposure(facts.wallet_curve)
    changes = hour_changes(facts.hours_of_equity)
    names = {part.strategy for part in live}
    live_pairs = [row for row in facts.pairs if row.strategy in names]
    money_hours = [row for row in facts.hours_of_money if not row.shadow]
    scale = chart_series.Scale.of(asked)
    return Figures(
        asked=asked,
        money=money,
        parts=live,
        shadows=shadows,
        held=what_was_held,
        falls=deepest_falls(facts.wallet_curve),
        losing_hours=losing_hours(facts.hours_of_equity),
        nearest=nearest_to_liquidation(facts.leg_curves),
        shadow_nearest=nearest_to_liquidation(facts.leg_curves, shadow=True),
        most_exposed=most_exposed(exposed) if asked.strategy is None else None,
        mean_exposure=mean_exposure(exposed) if asked.strategy is None else None,
        most_margin=_most_margin(exposed),
        levels=_level_tables(facts, chosen),
        hours=by_hour(live_pairs, money_hours, changes, names),
        weekdays=by_weekday(live_pairs, money_hours, changes, names),
        settings=settings_shown(_configs(asked, facts, backtest), asked.strategy),
        cautions=cautions(asked, facts, money, backtest, tried),
        refusals=facts.refusals,
        runs=facts.runs,
        backtest=backtest,
        scale=scale,
        charts=_charts(asked, facts, scale, chosen, what_was_held, exposed, capital),
    )


def _configs(asked: Asked, facts: Facts, backtest: Backtest | None) -> list[str]:
    """Configurations of the span as JSON, the oldest first."""
    if backtest is not None and (config := backtest.config_of(asked.account)):
        return [config]
    return [run.config for run in facts.runs if run.config]


def _most_margin(rows: Sequence[ExposurePoint]) -> ExposurePoint | None:
    known = [row for row in rows if row.maintenance_ratio is not None]
    return max(known, key=lambda row: row.maintenance_ratio or 0, default=None)


def _level_tables(facts: Facts, chosen: Sequence[Part]) -> list[LevelTable]:
    tables = []
    for part in chosen:
        rows = facts.shadow_pairs if part.shadow else facts.pairs
        for direction in ("long", "short"):
            own = (part.strategy, part.symbol, direction)
            bands = by_level(row for row in rows if (row.strategy, row.symbol, row.direction) == own)
            if bands:
                tables.append(LevelTable(*own, part.shadow, bands))
    return tables


def _charts(
    asked: Asked,
    facts: Facts,
    scale: chart_series.Scale,
    chosen: Sequence[Part],
    what_was_held: Holding | None,
    exposed: Sequence[ExposurePoint],
    capital: Decimal,
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    prices = chart_series.prices_with_fills(facts.price_curves, facts.fills)
    if facts.wallet_curve:
        curve = holding_curve(what_was_held, prices) if what_was_held else []
        made += [
            chart_series.equity_chart(scale, facts.wallet_curve, curve, capital),
            chart_series.fall_chart(scale, facts.wallet_curve),
        ]
        if asked.strategy is None:
            made.append(chart_series.exposure_chart(scale, exposed))
    for number, part in enumerate(chosen):
        key = (part.strategy, part.symbol, part.shadow)
        legs = [leg for leg in facts.legs if leg.place == "before" and (leg.strategy, leg.symbol, leg.shadow) == key]
        points = [row for row in facts.leg_curves if (row.strategy, row.symbol, row.shadow) == key]
        made.append(
            chart_series.price_chart(
                scale,
                f"price-{number}",
                [point for point in prices if point.symbol == part.symbol],
                [fill for fill in facts.fills if (fill.strategy, fill.symbol, fill.shadow) == key],
                [row for row in facts.ladders if (row.strategy, row.symbol) == key[:2]],
            )
        )
        coin = part.symbol.removesuffix("USDT")
        made += chart_series.position_charts(scale, str(number), held(points, legs, asked.to_ms), coin)
    return made
