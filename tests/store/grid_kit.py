"""Executions of grids, drawn or written out, and what the store and all executions say of their pairs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
from hypothesis import strategies as st

from gridbot.records.record_types import CorrectionRecord, ExecutionRecord, UtcMs
from gridbot.store.grid_check import PairsDiffer, differences
from gridbot.store.grid_sql import listed
from gridbot.store.grid_tables import CHECKPOINTS, LEVELS, PAIRS, VIEWS_FROM_ROWS
from tests.store.kit import execution

START_MS = 1_700_000_000_000


def trade(
    at: int, number: int | None, size: str, *, leg: int = 0, price: int | str = 100, fee: str = "0.01", name: str = ""
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
    st.sampled_from(["1", "1", "2", "0.5", "-1", "-1", "-2", "-0.5", "-3", "1e-12", "-0.333333333333", "9007199254.5"]),
    st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]),
    st.one_of(st.integers(90, 110), st.sampled_from(["2097152.000000000001", "2047.5", "1e-12", "90000000000000"])),
    st.sampled_from(["0.01", "0.01", "0.037", "-0.005", "1e-12", "92233720368.547758", "1e20"]),
)
"""Account, time (ms), the exchange's number, size, leg, price, fee. The last fee is one that no market has; others
fit no unit of their context, or are at its end."""


def _id(index: int) -> str:
    """As the exchange makes them, and as it does not: those are stored in another way."""
    return f"{index:08x}-0000-4000-8000-00000000000a" if index % 2 else f"n-{index}"


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Trades of two accounts: often as they happened, with some late; sometimes in any order. Some are corrected."""
    specs = draw(st.lists(SPECS, max_size=30))
    if draw(st.integers(0, 3)):
        specs.sort(key=lambda spec: spec[1])
        if draw(st.booleans()):
            anew = draw(st.integers(1, 40))  # from there on the exchange counts from 1 again
            specs = [
                (account, at, 10 * (index % anew) + 1, *rest) for index, (account, at, _, *rest) in enumerate(specs)
            ]
        for _ in range(draw(st.integers(0, 3)) if specs else 0):
            late = specs.pop(draw(st.integers(0, len(specs) - 1)))
            specs.insert(draw(st.integers(0, len(specs))), late)
    found: list[tuple[str, Any]] = [
        (account, trade(at, number, size, leg=leg, price=price, fee=fee, name=_id(index)))
        for index, (account, at, number, size, leg, price, fee) in enumerate(specs)
    ]
    for _ in range(draw(st.integers(0, 4)) if specs else 0):
        account, one = draw(st.sampled_from([each for each in found if isinstance(each[1], ExecutionRecord)]))
        fee, shift = draw(st.sampled_from(["0.002", "-0.03", "9e25"])), draw(st.sampled_from([0, 0, 5]))
        found.insert(draw(st.integers(0, len(found))), (account, correction(one, fee, shift)))
    return found


Answers = dict[str, tuple[list[tuple[str, str]], list[Any]]]
"""By view its columns with their types, and its rows."""


def answer(con: duckdb.DuckDBPyConnection, source: str) -> tuple[list[tuple[str, str]], list[Any]]:
    rows = con.execute(f"FROM {source} ORDER BY ALL")
    return [(each[0], str(each[1])) for each in rows.description or ()], rows.fetchall()


def raw_answers(con: duckdb.DuckDBPyConnection) -> Answers:
    """Of all executions; matching does not change them."""
    raw: dict[str, str] = {view.name: view.sql for view in VIEWS_FROM_ROWS}
    con.execute(f"CREATE OR REPLACE TEMP TABLE raw_trades AS {raw['grid_trades']}")
    raw["grid_levels"] = raw["grid_levels"].replace("FROM grid_trades", "FROM raw_trades")
    raw["grid_trades"] = "FROM raw_trades"
    return {name: answer(con, f"({query})") for name, query in raw.items()}


def assert_kept_is_raw(con: duckdb.DuckDBPyConnection, raw: Answers | None = None) -> None:
    """By the views, with what has landed; by the check, when nothing has. `raw` when it is known already."""
    for name, expected in (raw or raw_answers(con)).items():
        assert answer(con, name) == expected, name


def differing(con: duckdb.DuckDBPyConnection) -> list[PairsDiffer]:
    return differences(lambda statement: con.execute(statement).fetchall())


def kept(con: duckdb.DuckDBPyConnection) -> list[Any]:
    """What is kept, but for how it is parted."""
    levels = (
        f"SELECT {listed()}, level, sum(pairs), sum(qty), sum(profit), sum(fees), max(last_closed_at) FROM {LEVELS}"
    )
    newest = f"QUALIFY row_number() OVER (PARTITION BY {listed()} ORDER BY part DESC) = 1"
    lots = f"FROM (SELECT {listed()}, lots FROM {CHECKPOINTS} {newest}) WHERE lots <> []"
    return [
        con.execute(f"{query} ORDER BY ALL").fetchall() for query in (f"FROM {PAIRS}", f"{levels} GROUP BY ALL", lots)
    ]


FEW: list[tuple[str, Any]] = [
    (account, trade(1000 * n, n, size, price=100 + n))
    for account in ("alice", "bob")
    for n, size in enumerate(("1", "2", "-1", "-1", "1", "-2", "1", "-1"), 1)
]
