"""Pairs that are kept as rows are written are those that all executions give: in any order of arrival, landed or
stored, corrected, cut by late ones, after restarts and retention, and of an older file."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.store.commit import Rows, commit, delete_older, roll_up
from gridbot.store.grid_keeping import keep_all, keep_some, waiting_executions
from gridbot.store.grid_marks import mark_all, mark_executions
from gridbot.store.grid_order import End, GridOrder, Trade
from gridbot.store.grid_patience import Patience
from gridbot.store.grid_tables import CHECKPOINTS, GRID_TABLES, OF_VERSION_7, PAIRS, TAILS
from gridbot.store.landing import KnownOrder, put
from gridbot.store.schema import EVERY_VIEW, ensure_schema
from tests.case_table import case_table
from tests.examples import examples
from tests.store.grid_kit import (
    FEW,
    Answers,
    arrivals,
    assert_kept_is_raw,
    correction,
    differing,
    kept,
    raw_answers,
    trade,
)
from tests.store.kit import put_executions
from tests.store.test_landing import batch, emptied, numbered, store


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with store() as found:
        yield found


@case_table("spread", [0, 8])
def test_a_burst_behind_a_silence_is_matched_in_steps(con: duckdb.DuckDBPyConnection, spread: int) -> None:
    """Its executions at one moment, or some ms apart: no span of time has about as many as a step takes."""
    emptied(con)
    sizes = ["1"] + ["1", "-1"] * 4
    times = [0, *(3_600_000 + n * spread // 8 for n in range(8))]
    trades = [
        ("alice", trade(at, n, size, price=90 + n)) for n, (at, size) in enumerate(zip(times, sizes, strict=True))
    ]
    put(con, batch(numbered(trades)), lands=False)
    steps = 0
    while keep_some(con, at_once=1, part=2):
        steps += 1
    assert steps > 2
    assert_kept_is_raw(con)


def match_some(con: duckdb.DuckDBPyConnection, data: st.DataObject, raw: Answers) -> None:
    """Some steps, each of a few executions."""
    for _ in range(data.draw(st.integers(0, 4))):
        keep_some(con, at_once=data.draw(st.integers(1, 4)), part=data.draw(st.integers(0, 5)))
        if data.draw(st.booleans()):
            assert_kept_is_raw(con, raw)


@settings(max_examples=examples(3), deadline=None)
@given(data=st.data(), records=arrivals())
def test_pairs_are_those_of_all_executions_at_every_moment(
    con: duckdb.DuckDBPyConnection, data: st.DataObject, records: list[tuple[str, Any]]
) -> None:
    """After each commit and each step, whatever comes late and however far the matching is."""
    emptied(con)
    bodies = numbered(records)
    cuts = sorted({*data.draw(st.lists(st.integers(0, len(bodies)), max_size=6)), len(bodies)})
    order, first, raw = KnownOrder(), 0, raw_answers(con)
    for cut in cuts:
        if part := bodies[first:cut]:
            first = cut
            put(con, batch(part), lands=data.draw(st.booleans()), order=order)
            raw = raw_answers(con)
            if data.draw(st.booleans()):
                assert_kept_is_raw(con, raw)
        match_some(con, data, raw)
        if data.draw(st.integers(0, 3)) == 0:
            put(con, Rows(), lands=False)
            delete_older(con, "executions", 30.0, time.time_ns() // 1000, at_once=data.draw(st.integers(1, 9)))
            raw = raw_answers(con)
            assert_kept_is_raw(con, raw)
        order = KnownOrder()  # as the writer does, and a restart
    put(con, Rows(), lands=False)
    raw = raw_answers(con)
    assert_kept_is_raw(con, raw)
    keep_all(con, data.draw(st.integers(1, 40)))
    assert_kept_is_raw(con, raw)
    assert (differing(con), waiting_executions(con)) == ([], 0)
    found = kept(con)
    for table in GRID_TABLES:
        con.execute(f"DELETE FROM {table}")
    mark_all(con)
    assert_kept_is_raw(con, raw)
    match_some(con, data, raw)
    assert_kept_is_raw(con, raw)
    keep_all(con)
    assert kept(con) == found, "an older file is filled with the same"


def test_what_is_matched_follows_rows_that_go_and_rows_that_are_added_up_later(
    con: duckdb.DuckDBPyConnection,
) -> None:
    """By `roll_up`; and retention takes the oldest away, as the clock of these records is long ago."""
    emptied(con)
    sizes = ["1", "2", "-1", "-1", "1", "-2", "1", "-1"]
    bodies = numbered([("alice", trade(1000 * n, n, size, price=100 + n)) for n, size in enumerate(sizes)])
    commit(con, batch(bodies[:3]), rolls_up=False)
    roll_up(con, "alice", 0)
    keep_all(con)
    commit(con, batch(bodies[3:]), rolls_up=False)
    roll_up(con, "alice", 3)
    keep_all(con)
    assert_kept_is_raw(con)
    pairs = "SELECT open_price, close_price, qty FROM grid_trades ORDER BY closed_at, open_price DESC"
    expected = [(101, 102, 1), (101, 103, 1), (104, 105, 1), (100, 105, 1), (106, 107, 1)]
    assert con.execute(pairs).fetchall() == expected
    local_us = "epoch_us(now()::TIMESTAMP) - epoch_us(exchange_ts)"
    con.execute(f"UPDATE execution_rows_stored SET local_us = {local_us} WHERE seq > 2")
    for gone in (1, 1, 0):
        assert delete_older(con, "executions", 30.0, time.time_ns() // 1000, at_once=1) == gone
        assert_kept_is_raw(con)
    assert con.execute(pairs).fetchall() == [row for row in expected if row[0] not in (100, 101)]


ABSURD = {"alice": ("0", "9e25", "0"), "bob": ("100", "1e-12", "9e24"), "carol": ("9e25", "0.5", "0")}
"""By account price, size and fee."""


def test_amounts_that_no_market_has_do_not_keep_other_records_out(con: duckdb.DuckDBPyConnection) -> None:
    """A price of zero with any quantity, a tiny quantity with any fee: added up they are more than a column holds."""
    absurd = [
        (account, dataclasses.replace(trade(n, n, size if n % 2 else f"-{size}", fee=fee), price=Decimal(price)))
        for account, (price, size, fee) in ABSURD.items()
        for n in range(1, 43)
    ]
    fine = (trade(100, 100, "1", price=100), trade(101, 101, "-1", price=103))
    opened, closed, *corrected = (
        [(account, record) for account in ABSURD] for record in (*fine, *(correction(each, "9e25") for each in fine))
    )
    bodies = numbered([*absurd, *opened, *closed, *corrected[0], *corrected[1]])
    for lands in (False, True):
        emptied(con)
        first = len(absurd)
        put(con, batch(bodies[:first]), lands=lands)
        for _ in (opened, closed):
            put(con, batch(bodies[first : first + len(ABSURD)]), lands=lands)
            first += len(ABSURD)
        assert_kept_is_raw(con)
        put(con, Rows(), lands=False)
        assert con.execute("SELECT account, profit FROM grid_trades ORDER BY ALL").fetchall() == [
            (account, 3) for account in ABSURD
        ]
        assert con.execute("SELECT count(*) FROM executions").fetchone() == (44 * len(ABSURD),)
        put(con, batch(bodies[first:]), lands=False)
    for view in EVERY_VIEW:  # the same rows are stored, whether they landed before or not
        con.execute(f"FROM {view.name}").fetchall()


def test_a_difference_between_kept_and_raw_is_found_and_told(con: duckdb.DuckDBPyConnection) -> None:
    emptied(con)
    put(con, batch(numbered([("alice", trade(1, 1, "1")), ("alice", trade(2, 2, "-1", price=103))])), lands=False)
    keep_all(con)
    assert differing(con) == []
    con.execute(f"UPDATE {PAIRS} SET net_profit = 4 - fees")
    [found] = differing(con)
    assert str(found) == (
        "grid_trades of alice/a BTC long: expected 1 pairs with a profit of 3.000000000000 by the executions, "
        "got 1 with 4.000000000000"
    )


def test_a_leg_that_cannot_be_matched_is_told_and_stops_nothing(
    con: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left of the openings of alice and carol is worth more than a column holds: their later rows are stored,
    and bob's pairs are matched with them in one step."""
    caplog.clear()
    emptied(con)
    absurd = {"alice": "price", "carol": "unmatched"}
    bodies = numbered([*FEW, *(("carol", record) for account, record in FEW if account == "alice")])
    put(con, batch([body for body in bodies if body[2] <= 5]), lands=False)
    keep_all(con)
    for account, column in absurd.items():
        lots = f"list_transform(lots, lambda lot: struct_update(lot, {column} := 9e25::DECIMAL(38, 12)))"
        con.execute(f"UPDATE {CHECKPOINTS} SET lots = {lots} WHERE account = '{account}'")
    put(con, batch([body for body in bodies if body[2] > 5]), lands=False)
    for view in ("grid_trades", "grid_levels", "statement"):
        con.execute(f"FROM {view}").fetchall()  # between the commit and the step that finds it
    keep_all(con)
    assert waiting_executions(con) == 0
    counted = "SELECT account, count(*) FROM {} GROUP BY ALL ORDER BY ALL"
    assert con.execute(counted.format("executions")).fetchall() == [("alice", 8), ("bob", 8), ("carol", 8)]
    assert con.execute(counted.format("grid_trades")).fetchall() == [("alice", 2), ("bob", 5), ("carol", 2)]
    told = [record.getMessage() for record in caplog.records if "cannot be matched" in record.getMessage()]
    legs = ("alice/a BTC long", "carol/a BTC long", "bob")
    assert [[leg in one for leg in legs] for one in sorted(told)] == [[True, False, False], [False, True, False]]
    assert ["could not be matched" in str(found) for found in differing(con)] == [True, True]
    for account in absurd:
        late = numbered([(account, trade(500, 1, "1"))] * 9)[-1:]
        put(con, batch(late), lands=False)
    keep_all(con)
    assert differing(con) == [], "a late execution has it matched from before"


def test_want_of_memory_says_nothing_about_a_leg_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Its steps are smaller ones, behind those of others. Where that is not enough either, as by numbers that fall from
    one to the next, it waits, which is told once, and is matched when there is memory."""
    caplog.clear()
    patience = Patience()
    with store() as con:
        con.execute("SET temp_directory = ''")
        put(con, batch(numbered([("alice", trade(0, 9_000, "1")), ("bob", trade(0, 1, "1"))])), lands=False)
        put_executions(
            con,
            """
            SELECT executions.* REPLACE (seq + n AS seq, exchange_ts + to_milliseconds(n) AS exchange_ts,
                n % 2 AS closed_size, exchange_seq + CASE account WHEN 'alice' THEN -n ELSE n END AS exchange_seq)
            FROM executions JOIN range(1, 6000) AS more(n) ON account = 'alice' OR n < 3000""",
        )
        con.execute(f"DELETE FROM {TAILS}")
        mark_executions(con, "executions_stored")
        con.execute("SET memory_limit = '25MB'")
        while keep_some(con, patience=patience):
            pass
        assert waiting_executions(con) == 6000
        assert not keep_some(con, patience=patience)
        [told] = [record.getMessage() for record in caplog.records if "no memory" in record.getMessage()]
        assert "alice" in told
        con.execute("SET memory_limit = '1GB'")
        assert not keep_some(con, patience=patience), "it waits"
        assert keep_some(con)
        assert waiting_executions(con) == 0
        assert differing(con) == []


def test_a_question_takes_no_squares_of_what_waits(con: duckdb.DuckDBPyConnection) -> None:
    """Openings were joined with closes by their leg alone: 8,000 executions that waited took 23 s."""
    emptied(con)
    trades = [("alice", trade(1000 * n, n + 1, "1" if n % 2 else "-1")) for n in range(600)]
    put(con, batch(numbered(trades)), lands=False)
    [(_, profile)] = con.execute("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM grid_trades").fetchall()
    rows = [int(found) for found in re.findall(r'"intermediate_rows": *(\d+)', profile)]
    assert 299 in rows
    assert max(rows) < 10 * len(trades)
    assert_kept_is_raw(con)


def test_steps_stay_short_where_numbers_begin_anew_without_a_pause(con: duckdb.DuckDBPyConnection) -> None:
    """One each five seconds: what contradicts is over half a minute later."""
    emptied(con)
    records = [trade(5_000 * n, 1 + n % 60, "1" if n % 3 else "-1", price=90 + n % 7) for n in range(120)]
    put(con, batch(numbered([("alice", record) for record in records])), lands=False)
    left = [waiting_executions(con)]
    while keep_some(con, at_once=16, part=32):
        left.append(waiting_executions(con))
    assert max(before - after for before, after in itertools.pairwise(left)) <= 64
    put(con, batch(numbered([("alice", each) for each in [*records, trade(620_000, 62, "-1")]])[-1:]), lands=False)
    assert waiting_executions(con) == 1, "the checkpoint stands, though one before the sixtieth had a higher number"
    assert_kept_is_raw(con)


def test_what_version_7_kept_is_matched_again(con: duckdb.DuckDBPyConnection) -> None:
    """Its pairs had no ids, and the ends of its legs do not say enough."""
    emptied(con)
    put(con, batch(numbered(FEW)), lands=False)
    keep_all(con)
    before = kept(con)
    for table in (CHECKPOINTS, TAILS):
        con.execute(f"DROP TABLE {table}")
    for table in OF_VERSION_7:
        con.execute(f"CREATE TABLE {table} (account VARCHAR)")
    con.execute(f"ALTER TABLE {PAIRS} DROP COLUMN open_link_id")
    con.execute("UPDATE schema_versions SET version = 7")
    ensure_schema(con)
    assert waiting_executions(con) > 0
    assert_kept_is_raw(con)
    keep_all(con)
    assert kept(con) == before
    assert_kept_is_raw(con)


LEG = ("alice", "a", "BTC", "long", False)


@pytest.mark.parametrize(
    ("end", "trade", "precedes"),
    [
        (None, (5, 0), True),
        (End(5, 9, 9), (5, 9), True),
        (End(5, 9, 9), (5, 8), False),
        (End(5, 9, 9), (5, 0), False),
        (End(5, 0, 0), (5, 0), True),
        (End(5, None, 9), (5, 10), False),
        (End(5, None, 9), (6, 10), True),
        (End(5, 9, 9), (6, 0), True),
        (End(5, 9, 9), (6, 8), False),
        (End(5, 9, 9), (4, 12), False),
        (End(5, 9, 9, risky=False), (30_005, 8), False),
        (End(5, 9, 9, risky=False), (30_006, 8), True),
    ],
)
def test_what_comes_behind_all_that_a_leg_has(end: End | None, trade: tuple[int, int], precedes: bool) -> None:
    """Times in ms, the exchange's numbers."""
    order = GridOrder({LEG: end} if end else {})
    other = ((*LEG[:4], True), Trade(0, 1))
    assert order.precedes([other, (LEG, Trade(*trade))]) is precedes
