"""The backtest of a day that an account has traded: from how it stood, on the market that was recorded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import numpy as np
import orjson

from gridbot.backtest.backtest_run import run
from gridbot.backtest.beginning import Beginning, Resting
from gridbot.backtest.cannot_run import CannotRun
from gridbot.backtest.run_days import DaysInMemory
from gridbot.backtest.run_options import Latency, Options
from gridbot.config.offline_market import offline_instrument
from gridbot.core.vocabulary import Direction, Side
from gridbot.exchange.environment import Environment
from gridbot.market.day import Day, DayRefused, ticks_of
from gridbot.market.market_error import MarketError
from gridbot.market.market_root import Market
from gridbot.market.pyramid import Pyramid
from gridbot.paper.settings import MatchingModel
from gridbot.store.schema import quote
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.store.day_market import MARK_PART, RecordedDay, funding_rates, write_market, write_marks
from supervisor.store.day_records import DayRecords

if TYPE_CHECKING:
    from gridbot.config.account_models import StrategyConfig
    from gridbot.config.models import GridbotConfig
    from gridbot.core.instrument import Instrument
    from supervisor.store.query import Query

__all__ = ["Assumed", "DayMarket", "market_of", "run_day"]

LONGEST_MS: Final = 60_000
BYBIT_PRICES_MS: Final = 100
"""From one frame of tickers to the next."""


@dataclass(frozen=True, slots=True)
class Assumed:
    """`matching` None: the configuration's. `latency_ms` one way; None: half of what was recorded."""

    matching: str | None
    latency_ms: float | None


@dataclass(frozen=True, slots=True)
class DayMarket:
    """The day of each symbol, and what to know of it."""

    days: Sequence[Day]
    notes: Sequence[str]


def market_of(
    query: Query, config: GridbotConfig, strategies: Sequence[StrategyConfig], day: date, root: Path, directory: Path
) -> DayMarket:
    """What was imported of that day, else what was recorded. Raise CommandError, SqlFailed."""
    market, found, notes = Market(root), [], []
    try:
        for strategy in strategies:
            if day in market.days(strategy.symbol):
                found.append(market.day(strategy.symbol, day))
                if found[-1].kind == "candles":
                    notes.append(
                        f"the market of {strategy.symbol} is made of candles: times within a minute are guessed"
                    )
                continue
            environment = str(config.account(strategy.account).environment)
            instrument = offline_instrument(strategy, environment, config.paper)
            if instrument is None:
                what = f"expected {strategy.symbol} in {root}, or `tick_size` of {strategy.strat_id}"
                raise CommandError(f"{what}: without its tick size what was recorded is no market", ExitCode.REFUSED)
            recorded, note = _recorded(query, strategy, instrument, day, directory)
            found += [] if recorded is None else [recorded]
            notes.append(note)
    except (MarketError, DayRefused) as error:
        raise CommandError(str(error), ExitCode.REFUSED) from None
    return DayMarket(found, notes)


def _recorded(
    query: Query, strategy: StrategyConfig, instrument: Instrument, day: date, directory: Path
) -> tuple[Day | None, str]:
    begin = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - times of the records name no zone
    recorded = RecordedDay(query, strategy.account, strategy.symbol, begin)
    symbol, tick = strategy.symbol, instrument.tick_size
    files = directory / f"{symbol}.parquet", directory / f"{symbol}-marks.parquet"
    kind = write_market(recorded, tick, instrument.qty_step, files[0])
    write_marks(recorded, tick, files[1])
    columns, marked = map(_columns, files)
    times, sizes = columns["times_ms"], np.asarray(columns["sizes"], np.int64)
    if not len(times):
        return None, f"no price of {symbol} was recorded that day"
    found = ticks_of(
        instrument, times, np.asarray(columns["prices"], np.int64), sizes,
        columns["sides"] if kind == "trades" else None,
        marks=zip(marked["times_ms"].tolist(), marked["marks"].tolist(), strict=True), mark_unit=tick / MARK_PART,
        fundings=funding_rates(recorded), sources=("public_trades" if kind == "trades" else "tickers",),
    )  # fmt: skip
    if kind == "trades":
        prices = int((sizes == 0).sum())
        more = f", and {prices} prices at times of which no trades were recorded" if prices else ""
        return found, f"the market of {symbol} is {len(times) - prices} public trades that were recorded{more}"
    apart = (times[-1] - times[0]) / max(1, len(times) - 1) / 1000
    return found, (
        f"the market of {symbol} is {len(times)} prices, {apart:.1f} s apart: fills between them are not seen; "
        "storage.public_trades: true records each trade from then on"
    )


def _columns(file: Path) -> Mapping[str, Any]:
    with duckdb.connect() as con:
        found: Mapping[str, Any] = con.execute(
            f"FROM read_parquet({quote(str(file))}) ORDER BY times_ms, seq"
        ).fetchnumpy()
    return found


def run_day(
    config: GridbotConfig,
    account: str,
    strategies: Sequence[StrategyConfig],
    records: DayRecords,
    market: DayMarket,
    assumed: Assumed,
    into: Path,
) -> list[str]:
    """Run it; what it warned of. Raise CommandError."""
    tick_sizes = {day.symbol: day.instrument.tick_size for day in market.days}
    beginning = Beginning(
        records.wallet,
        {(symbol, Direction(leg)): held for (symbol, leg), held in records.legs.items()},
        dict(_states(strategies, records, tick_sizes)),
        [
            Resting(**{**order, "direction": Direction(order["direction"]), "side": Side(order["side"])})
            for order in records.resting
        ],
    )
    since_ms = math.ceil(records.since.replace(tzinfo=UTC).timestamp() * 1000)
    try:
        result = run(
            config.model_copy(update={"strategies": tuple(strategies)}),
            DaysInMemory([_with_price_at(day, since_ms) for day in market.days]),
            from_=records.since,
            to=records.until,
            account=account,
            options=_options(assumed, records, price_interval_ms(config, account)),
            beginnings={account: beginning},
            name="verdict",
            into=into,
        )
    except CannotRun as error:
        raise CommandError(str(error), ExitCode.NOTHING) from None
    result.close()
    if not result.summary["finished"]:
        raise KeyboardInterrupt
    return [str(text) for text in result.summary["warnings"]]


def price_interval_ms(config: GridbotConfig, account: str) -> float:
    """How long (ms) the exchange of an account waits from one price on its stream to the next."""
    is_paper = config.account(account).environment is Environment.PAPER
    return config.paper.ticker_interval_ms if is_paper else BYBIT_PRICES_MS


def _options(assumed: Assumed, records: DayRecords, prices_ms: float) -> Options:
    """A price is half of `prices_ms` old in the middle, where no latency was asked for: the stream brings no more."""
    matching = None if assumed.matching is None else MatchingModel(assumed.matching)
    asked_ms = assumed.latency_ms
    latency_ms = min((records.round_trip_ms or 20) / 2 if asked_ms is None else asked_ms, LONGEST_MS)
    options = Options.with_latency(Latency(latency_ms, latency_ms), matching=matching)
    if asked_ms is not None:
        return options
    return replace(options, ticker_ms=min(options.ticker_ms + prices_ms / 2, LONGEST_MS))


def _with_price_at(day: Day, since_ms: int) -> Day:
    """The day from `since_ms` (UTC) on, with the price that the market had then: who had seen it before goes by it."""
    first = int(np.searchsorted(day.times_ms, since_ms))
    if first in (0, len(day)) or day.times_ms[first] == since_ms:
        return day
    columns: dict[str, Any] = {
        name: np.array(getattr(day, name)[first - 1 :]) for name in ("times_ms", "prices", "sizes", "sides")
    }
    columns["times_ms"][0], columns["sizes"][0] = since_ms, 0  # nothing is traded then
    for column in columns.values():
        column.setflags(write=False)
    return replace(day, **columns, pyramid=Pyramid(columns["prices"]))


def _states(
    strategies: Sequence[StrategyConfig], records: DayRecords, tick_sizes: Mapping[str, Decimal]
) -> Iterator[tuple[str, Any]]:
    """What each strategy would have read of its own file then."""
    for strategy in strategies:
        ladder, tick = records.ladders.get(strategy.strat_id), tick_sizes.get(strategy.symbol)
        if ladder is None or tick is None:
            continue
        levels = [[int(Decimal(price) / tick), side] for price, side in orjson.loads(ladder.levels)]
        saved = strategy.model_dump(mode="json") | {
            "tick_size": str(tick),
            "levels": levels,
            "last_fill": _text(ladder.last_fill),
            "anchor": _text(ladder.anchor),
            "version": ladder.version,
            "exchange_ts": 0,
            "pending": [],
        }
        yield strategy.strat_id, strategy.decided_by.read_state(saved)


def _text(price: Decimal | None) -> str | None:
    return None if price is None else f"{price.normalize():f}"
