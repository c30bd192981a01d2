"""Pairs that are kept as rows are written are those that all executions give: in any order of arrival, landed or stored,
corrected, cut by late ones, after restarts, a rebuild, a vacuum, retention, and of an older file."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.records.record_types import CorrectionRecord, ExecutionRecord, UtcMs
from gridbot.store.commit import Rows, commit, delete_older, roll_up
from gridbot.store.grid_check import differences
from gridbot.store.grid_keeping import keep_all
from gridbot.store.grid_tables import GRID_TABLES, LEGS, LEVELS, LOTS, PAIRS, VIEWS_FROM_ROWS
from gridbot.store.landing import KnownOrder, put
from tests.examples import examples
from tests.store.kit import execution
from tests.store.test_landing import batch, emptied, numbered, store

START_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with store() as found:
        yield found


def trade(
    at: int, number: int | None, size: str, *, leg: int = 0, price: int = 100, fee: str = "0.01", name: str = ""
) -> ExecutionRecord:
    """A fill `at` so many ms; a negative size closes."""
    strategy, symbol, direction = (("a", "BTC", "long"), ("a", "BTC", "short"), ("b", "ETH", "long"))[leg % 3]
    qty = Decimal(size)
    return execution(
        1,
        strategy=strategy,
        symbol=symbol,
        direction=direction,
        price=Decimal(price),
        qty=abs(qty),
        closed_size=-qty if qty < 0 else Decimal(0),
        fee=Decimal(fee),
        exchange_ts=UtcMs(START_MS + at),
        exchange_seq=number,
        shadow=leg >= 3,
        exec_id=name or f"x-{at}-{number}-{size}-{leg}-{price}",
    )


def correction(of: ExecutionRecord, fee: str, shift: int = 0) -> CorrectionRecord:
    return CorrectionRecord(
        strategy=of.strategy,
        symbol=of.symbol,
        direction=of.direction,
        exec_id=of.exec_id,
        realised_pnl=Decimal(0),
        fee=Decimal(fee),
        exec_type="Trade",
        is_maker=True,
        shadow=of.shadow,
        final=True,
        reason="",
        exchange_ts=UtcMs(of.exchange_ts + shift),
    )


SPECS = st.tuples(
    st.sampled_from(["alice", "alice", "bob"]),
    st.one_of(st.integers(0, 12), st.integers(0, 200).map(lambda second: second * 1000)),
    st.one_of(st.none(), st.just(0), st.integers(1, 12), st.integers(1, 300)),
    st.sampled_from(["1", "1", "2", "0.5", "-1", "-1", "-2", "-0.5", "-3"]),
    st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]),
    st.integers(90, 110),
    st.sampled_from(["0.01", "0.01", "0.037", "-0.005", "1e20"]),
)
"""Account, time (ms), the exchange's number, size, leg, price, fee. The last fee is one that no market has."""


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Trades of two accounts: often as they happened, with some late; sometimes in any order. Some are corrected."""
    specs = draw(st.lists(SPECS, max_size=30))
    if draw(st.integers(0, 3)):
        specs.sort(key=lambda spec: spec[1])
        if draw(st.booleans()):
            specs = [(account, at, 10 * index + 1, *rest) for index, (account, at, _, *rest) in enumerate(specs)]
        for _ in range(draw(st.integers(0, 3)) if specs else 0):
            late = specs.pop(draw(st.integers(0, len(specs) - 1)))
            specs.insert(draw(st.integers(0, len(specs))), late)
    found: list[tuple[str, Any]] = [
        (account, trade(at, number, size, leg=leg, price=price, fee=fee, name=f"n-{index}"))
        for index, (account, at, number, size, leg, price, fee) in enumerate(specs)
    ]
    for _ in range(draw(st.integers(0, 4)) if specs else 0):
        account, one = draw(st.sampled_from([each for each in found if isinstance(each[1], ExecutionRecord)]))
        fee, shift = draw(st.sampled_from(["0.002", "-0.03", "9e25"])), draw(st.sampled_from([0, 0, 5]))
        found.insert(draw(st.integers(0, len(found))), (account, correction(one, fee, shift)))
    return found


def assert_kept_is_raw(con: duckdb.DuckDBPyConnection) -> None:
    """By the views, with what has landed; by the check, when nothing has."""
    raw: dict[str, str] = {view.name: view.sql for view in VIEWS_FROM_ROWS}
    raw["grid_levels"] = raw["grid_levels"].replace("FROM grid_trades", f"FROM ({raw['grid_trades']})")
    for name, query in raw.items():
        found = []
        for source in (name, f"({query})"):
            rows = con.execute(f"FROM {source} ORDER BY ALL")
            found.append(([(each[0], str(each[1])) for each in rows.description or ()], rows.fetchall()))
        assert found[0] == found[1], name


def kept(con: duckdb.DuckDBPyConnection) -> list[Any]:
    """What is kept but for places, which have gaps."""
    lots = "* EXCLUDE (place), row_number() OVER (PARTITION BY account, strategy, symbol, direction, shadow ORDER BY place)"
    queries = (f"SELECT * EXCLUDE (open_place) FROM {PAIRS}", f"FROM {LEVELS}", f"SELECT {lots} FROM {LOTS}")
    return [con.execute(f"{query} ORDER BY ALL").fetchall() for query in queries]


@settings(max_examples=examples(40), deadline=None)
@given(data=st.data(), records=arrivals())
def test_kept_pairs_are_those_of_all_executions(
    con: duckdb.DuckDBPyConnection, data: st.DataObject, records: list[tuple[str, Any]]
) -> None:
    emptied(con)
    bodies = numbered(records)
    cuts = sorted({*data.draw(st.lists(st.integers(0, len(bodies)), max_size=6)), len(bodies)})
    order, first = KnownOrder(), 0
    for cut in cuts:
        if data.draw(st.booleans()):
            order = KnownOrder()  # a restart
        if part := bodies[first:cut]:
            first = cut
            put(con, batch(part), lands=data.draw(st.booleans()), order=order)
            if data.draw(st.booleans()):
                assert_kept_is_raw(con)
    put(con, Rows(), lands=False)
    assert_kept_is_raw(con)
    assert differences(con) == []
    found = kept(con)
    for table in GRID_TABLES:
        con.execute(f"DELETE FROM {table}")
    keep_all(con)
    assert kept(con) == found, "an older file is filled with the same"
