"""The rollups say what the rows say, whatever happened to the writer, the records and the file."""

from __future__ import annotations

import time
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.records.journal_reader import journal_directory, write_committed
from gridbot.records.record_types import CorrectionRecord, OrderRecord, PositionRecord, UtcMs
from gridbot.store import newest_moves
from gridbot.store.bulk import LOAD_FROM
from gridbot.store.newest_rows import newest_from
from gridbot.store.reading import connect, database_path
from gridbot.store.rollups import REMOVED_SUMS, ROLLUPS
from gridbot.store.row_contexts import ROWS
from gridbot.store.schema import ensure_schema
from gridbot.store.sql_columns import as_stored
from gridbot.store.sums_check import sum_differences
from supervisor.store.maintenance import vacuum
from supervisor.store.rebuild import rebuild
from supervisor.store.writer import Writer, WriterSpec
from tests.examples import examples
from tests.store.kit import execution, flush_all, flush_without_an_answer, make_recorder, rows
from tests.store.session import make_session, write_all

DAY_MS = 86_400_000

MONEY_ROWS = """(
    SELECT exchange_ts, account, strategy, symbol, exec_type, is_maker, shadow, 1 AS n, price * qty AS value,
        realised_pnl, fee FROM executions
    UNION ALL SELECT exchange_ts, account, strategy, symbol, exec_type, is_maker, shadow, 0, 0, realised_pnl, fee
    FROM corrections)"""

FROM_ROWS = {
    "pnl_daily": f"""
        SELECT CAST(exchange_ts AS DATE) AS day, account, strategy, symbol,
            coalesce(sum(n) FILTER (exec_type = 'Trade'), 0),
            CAST(coalesce(sum(value) FILTER (exec_type = 'Trade'), 0) AS DECIMAL(38, 12)),
            sum(realised_pnl), coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0),
            coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0), sum(realised_pnl) - sum(fee)
        FROM {MONEY_ROWS} WHERE NOT shadow GROUP BY ALL""",
    "pnl_by_strategy": f"""
        SELECT account, strategy, symbol, coalesce(sum(n) FILTER (exec_type = 'Trade'), 0),
            CAST(coalesce(sum(value) FILTER (exec_type = 'Trade'), 0) AS DECIMAL(38, 12)),
            sum(realised_pnl), coalesce(sum(fee) FILTER (exec_type <> 'Funding'), 0),
            coalesce(sum(fee) FILTER (exec_type = 'Funding'), 0), sum(realised_pnl) - sum(fee)
        FROM {MONEY_ROWS} WHERE NOT shadow GROUP BY ALL""",
    "fees": f"""
        SELECT CAST(exchange_ts AS DATE), account, strategy, symbol, sum(n), coalesce(sum(n) FILTER (is_maker), 0),
            CAST(sum(value) AS DECIMAL(38, 12)), coalesce(sum(fee) FILTER (is_maker), 0),
            coalesce(sum(fee) FILTER (NOT is_maker), 0), sum(fee),
            round(sum(fee) / nullif(sum(value), 0) * 10000, 3)
        FROM {MONEY_ROWS} WHERE exec_type = 'Trade' AND NOT shadow GROUP BY ALL""",
    "shadow_vs_live": f"""
        SELECT CAST(exchange_ts AS DATE), symbol, coalesce(sum(n) FILTER (NOT shadow), 0),
            coalesce(sum(n) FILTER (shadow), 0),
            coalesce(sum(realised_pnl - fee) FILTER (NOT shadow), 0),
            coalesce(sum(realised_pnl - fee) FILTER (shadow), 0)
        FROM {MONEY_ROWS} WHERE exec_type = 'Trade' GROUP BY ALL""",
    "latest_positions": """
        SELECT * FROM position_events
        QUALIFY row_number() OVER (PARTITION BY account, symbol, direction, shadow ORDER BY seq DESC) = 1""",
    "live_orders": """
        SELECT * FROM (
            SELECT * FROM orders WHERE NOT shadow
            QUALIFY row_number() OVER (
                PARTITION BY account, coalesce(nullif(order_link_id, ''), order_id) ORDER BY seq DESC) = 1)
        WHERE state NOT IN ('filled', 'cancelled', 'rejected')""",
}
"""What the views and tables must show, from the whole history."""


def answer(con: duckdb.DuckDBPyConnection, statement: str) -> list[Any]:
    return sorted(con.execute(statement).fetchall(), key=repr)


def assert_true_to_the_rows(data_dir: Path) -> None:
    with connect(data_dir) as con:
        for name, statement in FROM_ROWS.items():
            assert answer(con, f"SELECT * FROM {name}") == answer(con, statement), name
        assert changed(con) == []


def changed(con: duckdb.DuckDBPyConnection, at_once: int = 5) -> list[str]:
    """What `ledger check` finds, in spans of a few executions."""
    with mock.patch("gridbot.store.sums_check.AT_ONCE", at_once):
        return [str(each) for each in sum_differences(lambda statement: con.execute(statement).fetchall())]


AT_ENDS = ("-0.000000000001", "2097152.000000000001", "9223372.036854775808", "1000000000000000.5")
"""They need other units than amounts of a grid, or are at the end of what so many units are."""
MONEY = st.decimals("-1000", "1000", places=8) | st.sampled_from([Decimal(text) for text in AT_ENDS])
RECORDS = st.one_of(
    st.builds(
        lambda day, minute, **values: execution(
            1, **values, exchange_ts=UtcMs(1_700_000_000_000 + day * DAY_MS + minute * 60_000)
        ),
        day=st.integers(-2, 2),
        minute=st.integers(0, 1439),
        strategy=st.sampled_from(["btc", "eth", ""]),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        direction=st.sampled_from(["long", "short"]),
        price=st.decimals("0.00000001", "200000", places=8),
        qty=st.decimals("0.001", "1000", places=4)
        | st.sampled_from([Decimal("0.0012345678"), Decimal("922.3372036855")]),
        fee=MONEY,
        realised_pnl=MONEY,
        exec_type=st.sampled_from(["Trade", "Trade", "Funding", "BustTrade"]),
        is_maker=st.booleans(),
        shadow=st.sampled_from([False, False, True]),
    ),
    st.builds(
        lambda day, **values: CorrectionRecord(
            **values, exec_id="e-1", final=True, reason="", exchange_ts=UtcMs(1_700_000_000_000 + day * DAY_MS)
        ),
        day=st.integers(-2, 2),
        strategy=st.sampled_from(["btc", "eth", ""]),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        direction=st.sampled_from(["long", "short"]),
        fee=MONEY,
        realised_pnl=MONEY,
        exec_type=st.sampled_from(["Trade", "Funding"]),
        is_maker=st.booleans(),
        shadow=st.sampled_from([False, True]),
    ),
    st.builds(
        PositionRecord,
        strategy=st.just("btc"),
        symbol=st.sampled_from(["BTCUSDT", "ETHUSDT"]),
        direction=st.sampled_from(["long", "short"]),
        size=st.decimals("0", "10", places=3),
        entry_price=st.none() | st.decimals("1", "10", places=3),
        shadow=st.booleans(),
    ),
    st.builds(
        OrderRecord,
        strategy=st.just("btc"),
        symbol=st.just("BTCUSDT"),
        order_link_id=st.sampled_from(["", "g-1", "g-2", "g-3"]),
        order_id=st.sampled_from(["o-1", "o-2"]),
        direction=st.just("long"),
        side=st.just("Buy"),
        price=st.decimals("1", "10", places=3),
        qty=st.just(Decimal(1)),
        cum_exec_qty=st.just(Decimal(0)),
        reduce_only=st.booleans(),
        state=st.sampled_from(["pending", "open", "filled", "cancelled", "rejected"]),
        shadow=st.sampled_from([False, False, True]),
    ),
    st.just(execution(1, price=Decimal("1e30"))),  # fits no column: kept apart, counts nowhere
)
BATCHES = st.lists(st.lists(st.tuples(st.sampled_from(["alice", "bob"]), RECORDS), max_size=12), min_size=1, max_size=4)


def record_all(data_dir: Path, records: Iterable[tuple[str, Any]]) -> None:
    recorders = {account: make_recorder(data_dir, account) for account in ("alice", "bob")}
    for account, record in records:
        recorders[account].record(record)
    for recorder in recorders.values():
        recorder.close()


ALONE = CorrectionRecord(
    strategy="btc",
    symbol="BTCUSDT",
    direction="long",
    exec_id="e-1",
    realised_pnl=Decimal(20),
    fee=Decimal(0),
    exec_type="Trade",
    is_maker=False,
    final=True,
    reason="",
    exchange_ts=UtcMs(1_700_000_000_000),
)
"""Of an execution that no row shows: its day has no volume, and no fee per volume."""


CHANGES = st.sampled_from(
    [
        "DELETE FROM execution_rows_stored",
        "INSERT INTO execution_rows_stored FROM execution_rows_stored",
        *(
            "UPDATE execution_rows_stored SET odd_ids = json_merge_patch(coalesce(odd_ids, '{}'), (SELECT "
            f"json_object('{change.split()[0]}', CAST({change.split('= ')[1]} AS VARCHAR)) "
            "FROM executions_stored AS seen WHERE seen.rowid = execution_rows_stored.rowid))"
            for change in (
                "fee = fee + 0.00000001",
                "realised_pnl = -realised_pnl - 1000",
                "price = price * 2",
                "qty = qty + 0.001",
            )
        ),
        *(f"UPDATE execution_rows_stored SET {change}" for change in ("exchange_ts = exchange_ts + INTERVAL 1 DAY",)),
        *(
            f"INSERT INTO execution_contexts_stored SELECT * REPLACE (context + 1000 AS context, {change}) "
            "FROM execution_contexts_stored; UPDATE execution_rows_stored SET context = context + 1000"
            for change in (
                "strategy || 'x' AS strategy",
                "NOT shadow AS shadow",
                "NOT is_maker AS is_maker",
            )
        ),
    ]
)
"""What somebody else may do to a stored execution."""


@settings(max_examples=examples(3), deadline=None)
@example(batches=[[("alice", ALONE)]], restart=False, data=None)
@given(batches=BATCHES, restart=st.booleans(), data=st.data())
def test_rollups_say_what_the_rows_say(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, Any]]], restart: bool, data: Any
) -> None:
    """And where a row is another one since, that is found."""
    data_dir = tmp_path_factory.mktemp("data")
    writer = Writer(WriterSpec(data_dir, ("alice", "bob"), max_rows=10), {})
    for batch in batches:
        record_all(data_dir, batch)
        flush_all(writer)
        if restart:
            writer.close()
            writer = Writer(WriterSpec(data_dir, ("alice", "bob"), max_rows=10), {})
    writer.close()
    assert_true_to_the_rows(data_dir)
    rebuild(data_dir)
    assert_true_to_the_rows(data_dir)
    with duckdb.connect(str(database_path(data_dir))) as con:
        found = con.execute("SELECT rowid FROM execution_rows_stored").fetchall()
        if not found:
            return
        con.execute(f"{data.draw(CHANGES)} WHERE rowid = {data.draw(st.sampled_from(found))[0]}")
        assert changed(con, data.draw(st.sampled_from([1, 4, 1000]))) != []


def test_the_way_of_many_rows_adds_up_too(tmp_path: Path) -> None:
    record_all(tmp_path, (("alice", execution(number)) for number in range(1, 2 * LOAD_FROM)))
    write_all(tmp_path)
    assert rows(tmp_path, "SELECT fills FROM pnl_by_strategy") == [(2 * LOAD_FROM - 1,)]
    assert_true_to_the_rows(tmp_path)


def test_a_commit_whose_answer_got_lost_is_added_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_all(tmp_path, (("alice", execution(number)) for number in range(1, 11)))
    writer = Writer(WriterSpec(tmp_path, ("alice",)), {})
    flush_without_an_answer(writer, monkeypatch)
    flush_all(writer)
    writer.close()
    assert rows(tmp_path, "SELECT fills FROM pnl_by_strategy") == [(10,)]


def test_a_file_from_before_is_filled_once(tmp_path: Path) -> None:
    make_session(tmp_path)
    names = list(dict.fromkeys(rollup.name for rollup in (*ROLLUPS, REMOVED_SUMS)))
    before = {name: rows(tmp_path, f"SELECT * FROM {name} ORDER BY ALL") for name in names}
    with duckdb.connect(str(database_path(tmp_path))) as con:
        for name in names:
            con.execute(f"DROP TABLE {as_stored(name)}")
        con.execute("UPDATE schema_versions SET fingerprint = 'of an older program'")
        for _ in range(2):
            ensure_schema(con)
            con.execute("UPDATE schema_versions SET fingerprint = 'again'")
    assert {name: rows(tmp_path, f"SELECT * FROM {name} ORDER BY ALL") for name in names} == before
    assert_true_to_the_rows(tmp_path)


def test_vacuum_keeps_them(tmp_path: Path) -> None:
    make_session(tmp_path)
    vacuum(tmp_path)
    assert_true_to_the_rows(tmp_path)


def test_amounts_beyond_all_markets_do_not_stop_the_writer(tmp_path: Path) -> None:
    absurd = Decimal("9e25")
    values = {"price": absurd, "qty": absurd, "fee": absurd, "realised_pnl": -absurd}
    record_all(
        tmp_path, [("alice", execution(1, **values)), ("alice", execution(2, **values)), ("alice", execution(3))]
    )
    write_all(tmp_path)
    assert rows(tmp_path, "SELECT count(*) FROM executions") == [(3,)]
    expected = (3, Decimal("312.6993"), Decimal("0.1"), Decimal("0.0208"))
    assert rows(tmp_path, "SELECT fills, volume, realised_pnl, fees FROM pnl_by_strategy") == [expected]


def test_sums_and_states_outlive_the_rows_and_a_rebuild(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old rows went by retention and are in no journal: what they added up to stays."""
    monkeypatch.setattr(newest_moves, "NEWEST", 4)
    monkeypatch.setattr(newest_moves, "MOST", 6)
    now = time.time_ns() // 1000
    old = make_recorder(tmp_path, clock_us=lambda: now - 40 * 86_400_000_000)
    leg: dict[str, Any] = {"strategy": "btc", "symbol": "BTCUSDT", "direction": "long"}
    old.record(PositionRecord(size=Decimal(7), **leg))
    order: dict[str, Any] = {
        "side": "Buy",
        "price": Decimal(1),
        "qty": Decimal(1),
        "cum_exec_qty": Decimal(0),
        "reduce_only": False,
    }
    old.record(OrderRecord(order_link_id="g-old", order_id="", state="open", **order, **leg))
    for number in range(1, 31):
        old.record(execution(number))
    old.close()
    write_all(tmp_path)
    write_committed(journal_directory(tmp_path, "alice"), 32)
    for path in journal_directory(tmp_path, "alice").glob("*.journal"):
        path.unlink()
    record_all(tmp_path, (("alice", execution(number)) for number in range(33, 43)))
    views = [f"SELECT * FROM {name} ORDER BY ALL" for name in ("pnl_daily", "fees", "positions", "open_orders")]
    write_all(tmp_path)
    expected = [rows(tmp_path, view) for view in views]
    days = {"executions": 30.0, "orders": 30.0, "position_events": 30.0}
    writer = Writer(WriterSpec(tmp_path, (), keep_days=days), {})
    assert writer.trim(time.time_ns() // 1000) == 32
    writer.close()
    assert rows(tmp_path, f"SELECT count(*), {newest_from(ROWS)}() FROM executions") == [(10, 6)]
    with connect(tmp_path) as con:
        assert [con.execute(view).fetchall() for view in views] == expected
        assert changed(con) == []
    for _ in range(2):
        done = rebuild(tmp_path)
        assert done.from_journals == 10
        assert [rows(tmp_path, view) for view in views] == expected
        assert rows(tmp_path, f"SELECT {newest_from(ROWS)}()") == [(6,)]
