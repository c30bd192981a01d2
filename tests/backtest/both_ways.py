"""The same days through a backtest and through a session of the real worker, and what both recorded."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from gridbot.backtest.account_job import AccountJob
from gridbot.backtest.fidelity import COMPARED, first_difference
from gridbot.backtest.record_columns import KeptRecords
from gridbot.backtest.run_options import Latency, Options
from gridbot.backtest.symbol_feed import SymbolFeed
from gridbot.config.models import GridbotConfig
from gridbot.market.day import Day
from gridbot.records.columns import RECORD_TYPES, ColumnKind, columns_of
from gridbot.simulation.even_ways import Latencies
from gridbot.simulation.market_session import play_account
from gridbot.simulation.own_directory import MEMORY
from gridbot.simulation.session_records import records_of
from tests.simulation.session_examples import WAYS, DaysInMemory

ALIKE = Latencies(10_000, 10_000, 7_000, 10_000)
"""Every way takes as long, with what the exchange waits before it pushes (`ack_delay_ms`): much comes at one moment."""

Found = dict[str, list[dict[str, Any]]]


def options_of(ways: Latencies, config: GridbotConfig) -> Options:
    """A backtest with the latencies of a session."""
    request, answer, push = (Latency(us / 1000, us / 1000) for us in (ways.request_us, ways.answer_us, ways.private_us))
    return Options(
        request=request, answer=answer, push=push, ticker_ms=ways.ticker_us / 1000, seed=config.paper.fault_seed
    )


def backtested(
    config: GridbotConfig,
    days: Sequence[Day],
    from_ms: int,
    to_ms: int,
    ways: Latencies = WAYS,
    *,
    every_tick: bool = False,
) -> Found:
    """What a backtest of alice records, by table."""
    feeds = {day.symbol: SymbolFeed(day.symbol, [partial(_same, day)], from_ms, to_ms) for day in days}
    options = replace(options_of(ways, config), every_tick=every_tick)
    bodies: dict[str, list[bytes]] = {}

    def put(rows: KeptRecords) -> None:
        for table, more in rows.bodies().items():
            bodies.setdefault(table, []).extend(more)

    job = AccountJob(
        config, "alice", config.strategies_of("alice"), feeds, config.paper, options, from_ms * 1000, to_ms * 1000
    )
    job.run(put, lambda *told: None, lambda counts: None)
    return _rows(bodies, from_ms, to_ms)


def played(config: GridbotConfig, days: Sequence[Day], from_ms: int, to_ms: int, ways: Latencies = WAYS) -> Found:
    """What the worker of alice records."""
    home = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=home) as directory:
        play_account(config, "alice", DaysInMemory(*days), from_ms, to_ms, ways, Path(directory))
        return _rows(records_of(Path(directory), "alice"), from_ms, to_ms)


def differing(one: Found, other: Found) -> list[str]:
    """The first difference of each table, in words."""
    found = [first_difference(table, one.get(table, []), other.get(table, [])) for table in COMPARED]
    return [str(each) for each in found if each is not None]


def _rows(bodies: Mapping[str, Sequence[bytes]], from_ms: int, to_ms: int) -> Found:
    """As the database has them: each with all columns, numbers as numbers."""
    found: Found = {}
    for table in COMPARED:
        numbers = {column.name for column in columns_of(RECORD_TYPES[table]) if column.kind is ColumnKind.DECIMAL}
        for each in map(orjson.loads, bodies.get(table, ())):
            if from_ms * 1000 <= each["local_ts"] < to_ms * 1000:
                row = {name: each[name] for name in ("account", "run_id", "seq", "local_ts")}
                for name, value in each["data"].items():
                    row[name] = Decimal(value) if name in numbers and value is not None else value
                found.setdefault(table, []).append(row)
    return found


def _same(day: Day) -> Day:
    return day
