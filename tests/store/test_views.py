"""Views against a session worked out by hand (see session.py)."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.records import codec
from gridbot.records.record_types import CommandRecord, CorrectionRecord, Json, LatchRecord, UtcMs
from gridbot.store.bulk import append
from gridbot.store.newest_rows import LARGE, newest_from
from gridbot.store.reading import connect
from gridbot.store.row_contexts import ROWS
from gridbot.store.schema import PARSED_VIEWS, ensure_schema, forget_fingerprint
from gridbot.store.views import VIEWS
from tests.store.kit import execution
from tests.store.session import DAY_MS, START_MS, Session, make_session, write_all

D = Decimal


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    data_dir = tmp_path_factory.mktemp("session")
    make_session(data_dir)
    with connect(data_dir) as connection:
        yield connection


def ask(con: duckdb.DuckDBPyConnection, statement: str) -> list[Any]:
    return con.execute(statement).fetchall()


def test_runs_tell_how_each_life_ended(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        con, "SELECT account, run_id, state, reason, ended_at IS NULL, pid FROM runs ORDER BY started_at, account"
    )
    assert found == [
        ("alice", "run-1", "crashed", "", False, 4711),
        ("bob", "run-b", "ended", "stopped", False, 4711),
        ("alice", "run-2", "running", "", True, 4711),
    ]
    ((ended,),) = ask(con, "SELECT ended_at::VARCHAR FROM runs WHERE run_id = 'run-1'")
    assert ended == "2023-11-14 22:23:20"  # the last heartbeat, not the time of the next start


def test_fills_are_real_trades_only(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(con, "SELECT direction, side, price, qty, value, fee FROM fills ORDER BY account, seq")
    assert [row[:5] for row in found] == [
        ("long", "Buy", D(100), D(2), D(200)),
        ("long", "Buy", D(98), D(1), D(98)),
        ("long", "Sell", D(99), D(1), D(99)),
        ("long", "Sell", D(102), D(1), D(102)),
        ("short", "Sell", D(101), D(3), D(303)),
        ("short", "Buy", D(99), D(2), D(198)),
    ]
    assert [row[5] for row in found] == [D("0.04"), D("0.0196"), D("0.0198"), D("0.0561"), D("0.0606"), D("0.0396")]
    assert ask(con, "SELECT account, count(*) FROM shadow_fills GROUP BY 1") == [("bob", 2)]


def test_positions_are_the_newest(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(con, "SELECT account, symbol, direction, size FROM positions ORDER BY direction")
    assert found == [("alice", "BTCUSDT", "long", D(1)), ("alice", "BTCUSDT", "short", D(1))]
    assert ask(con, "SELECT account, size FROM shadow_positions") == [("bob", D(3))]


def test_open_orders_are_those_without_a_final_state(con: duckdb.DuckDBPyConnection) -> None:
    assert ask(con, "SELECT order_link_id, state, price FROM open_orders") == [("link-c", "open", D(98))]


def test_pnl_adds_up_to_the_last_decimal(con: duckdb.DuckDBPyConnection) -> None:
    ((fills, volume, realised, fees, funding, net),) = ask(
        con, "SELECT fills, volume, realised_pnl, fees, funding, net_pnl FROM pnl_by_strategy"
    )
    assert (fills, volume) == (6, D(1000))
    assert realised == D("6.333333333334")
    assert (fees, funding) == (D("0.2357"), D("0.05"))
    assert net == realised - fees - funding
    daily = ask(con, "SELECT day::VARCHAR, fills, fees, funding, net_pnl FROM pnl_daily ORDER BY day")
    assert [row[:4] for row in daily] == [
        ("2023-11-14", 3, D("0.0794"), D(0)),
        ("2023-11-15", 3, D("0.1563"), D("0.05")),
    ]
    assert sum(row[4] for row in daily) == net


def test_grid_trades_match_last_in_first_out_with_both_fees(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(
        con,
        "SELECT direction, qty, open_price, close_price, profit, fees, net_profit FROM grid_trades ORDER BY closed_at",
    )
    assert found == [
        # the Buy at 98 is the newest when 99 closes one; 102 then closes half of the Buy at 100
        ("long", D(1), D(98), D(99), D(1), D("0.0394"), D("0.9606")),
        ("long", D(1), D(100), D(102), D(2), D("0.0761"), D("1.9239")),
        ("short", D(2), D(101), D(99), D(4), D("0.08"), D("3.92")),
    ]
    levels = ask(con, "SELECT direction, level, pairs, net_profit FROM grid_levels ORDER BY 1, 2")
    assert levels == [
        ("long", D(98), 1, D("0.9606")),
        ("long", D(100), 1, D("1.9239")),
        ("short", D(101), 1, D("3.92")),
    ]


def test_the_statement_says_what_the_money_is_made_of(con: duckdb.DuckDBPyConnection) -> None:
    ((account, grid, net, unrealised, total),) = ask(
        con, "SELECT account, grid_profit, net_pnl, unrealised_pnl, total_pnl FROM statement"
    )
    assert (account, grid, unrealised) == ("alice", D(7), D(-3))
    assert net == D("6.333333333334") - D("0.2357") - D("0.05")
    assert total == net - 3


def test_holds_are_those_of_the_newest_run_that_were_not_let_go(tmp_path: Path) -> None:
    session = Session(tmp_path, "alice")
    session.run("start")
    session.add(LatchRecord(strategy="a", kind="halted", is_set=True, reason="of a run that is over"))
    session.recorder.run_id = session.run_id = "run-2"
    session.run("start")
    session.add(LatchRecord(strategy="a", kind="paused", is_set=True))
    session.add(LatchRecord(strategy="a", kind="breaker", level="long Buy 99", is_set=True, reason="once"))
    session.add(LatchRecord(strategy="a", kind="breaker", level="long Buy 98", is_set=True))
    session.add(LatchRecord(strategy="a", kind="breaker", level="long Buy 98", is_set=False))
    session.add(LatchRecord(strategy="a", kind="breaker", level="long Buy 99", is_set=True, reason="again"))
    session.close()
    write_all(tmp_path)
    with connect(tmp_path) as con:
        found = ask(con, "SELECT kind, level, reason FROM holds ORDER BY ALL")
    assert found == [("breaker", "long Buy 99", "again"), ("paused", "", "")]


def test_commands_are_those_of_the_workers_and_of_the_supervisor_in_the_same_words(tmp_path: Path) -> None:
    for account, commands in {
        "alice": [("pause", "", "{}"), ("pause", "btc", '{"strategy":"btc"}')],
        "_supervisor": [
            ("resume", "", '{"account":"bob","name":"resume","args":{"strategy":"s"}}'),
            ("resume", "", '{"account":"bob","name":"resume","args":null}'),
            ("resume", "", '{"account":"bob","name":"resume","args":[1]}'),
            ("restart", "", '{"child":"writer"}'),
            ("kill", "", '{"targets":"alice bob/s"}'),
            ("stop", "", '{"mode":null}'),
            ("ack", "", '{"alert":"k3x9aq"}'),
            ("mute", "", '{"what":"stale_price","period":"1h"}'),
        ],
    }.items():
        session = Session(tmp_path, account)
        for name, strategy, args in commands:
            session.add(CommandRecord(name=name, strategy=strategy, args=Json(args), ok=True, result="", who="op@host"))
        session.close()
    write_all(tmp_path)
    with connect(tmp_path) as con:
        found = ask(con, "SELECT DISTINCT ON (account, seq) target, who FROM operator_commands ORDER BY account, seq")
    targets = ["bob/s", "bob", "bob", "writer", "alice bob/s", "", "k3x9aq", "stale_price", "alice", "alice/btc"]
    assert found == [(target, "op@host") for target in targets]


def test_one_close_over_two_opens_is_two_pairs(tmp_path: Path) -> None:
    session = Session(tmp_path, "alice")
    for price in ("100", "99", "98"):
        session.fill("Buy", price, "1")
    session.fill("Sell", "101", "2.5")
    session.fill("Buy", "97", "2")
    session.fill("Sell", "98", "2")
    session.close()
    write_all(tmp_path)
    with connect(tmp_path) as con:
        found = ask(con, "SELECT qty, open_price, close_price, profit FROM grid_trades ORDER BY closed_at, open_price")
    assert found == [
        (D(1), D(98), D(101), D(3)),
        (D(1), D(99), D(101), D(2)),
        (D("0.5"), D(100), D(101), D("0.5")),
        (D(2), D(97), D(98), D(2)),
    ]


def test_pairs_follow_the_exchange_and_not_its_clock(tmp_path: Path) -> None:
    """Its clock goes back by 20 s after the first two: by times the close would have come before what it closed."""
    session = Session(tmp_path, "alice")
    session.fill("Buy", "100", "1", exchange_seq=7)
    session.fill("Buy", "98", "1", exchange_seq=9)
    session.now_ms -= 20_000
    session.fill("Sell", "99", "1", exchange_seq=12)
    session.fill("Buy", "97", "1", exchange_seq=13)
    session.now_ms += 30_000
    session.fill("Sell", "101", "2", exchange_seq=15)
    session.now_ms += 60_000  # the exchange counts anew
    session.fill("Buy", "95", "1", exchange_seq=1)
    session.fill("Sell", "96", "1", exchange_seq=2)
    session.close()
    write_all(tmp_path)
    with connect(tmp_path) as con:
        found = ask(
            con, "SELECT qty, open_price, close_price, profit FROM grid_trades ORDER BY close_price, open_price"
        )
    assert found == [
        (D(1), D(95), D(96), D(1)),
        (D(1), D(98), D(99), D(1)),
        (D(1), D(97), D(101), D(4)),
        (D(1), D(100), D(101), D(1)),
    ]


def test_fees_funding_and_rejections(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(con, "SELECT day::VARCHAR, fills, maker_fills, maker_fees, taker_fees, fees FROM fees ORDER BY day")
    assert found == [
        ("2023-11-14", 3, 3, D("0.0794"), D(0), D("0.0794")),
        ("2023-11-15", 3, 2, D("0.1002"), D("0.0561"), D("0.1563")),
    ]
    assert ask(con, "SELECT symbol, position_size, mark_price, paid FROM funding") == [
        ("BTCUSDT", D(1), D(100), D("0.05"))
    ]
    found = ask(con, "SELECT refused_by, ret_code, reason, times FROM rejections ORDER BY 1")
    assert found == [("exchange", 110007, "not enough balance", 1), ("gate", None, "max_notional", 2)]


def test_latency_of_orders(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(con, "SELECT order_link_id, to_open_ms, filled_at IS NOT NULL, attempts FROM latency ORDER BY 1")
    assert found == [("link-a", 2000.0, True, 1), ("link-b", None, False, 1)]


def test_equity_and_drawdown(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(con, "SELECT equity, drawdown FROM equity WHERE account = 'alice' ORDER BY seq")
    assert found == [(D(1000), D(0)), (D(990), D(10)), (D(1005), D(0))]


def test_uptime(con: duckdb.DuckDBPyConnection) -> None:
    ((runs, crashes, up),) = ask(con, "SELECT runs, crashes, up_seconds >= 600 FROM uptime WHERE account = 'alice'")
    assert (runs, crashes, up) == (2, 1, True)
    ((percent,),) = ask(con, "SELECT up_percent FROM uptime WHERE account = 'bob'")
    assert percent == 100


def test_shadow_beside_live(con: duckdb.DuckDBPyConnection) -> None:
    found = ask(con, "SELECT symbol, live_fills, shadow_fills, shadow_net_pnl FROM shadow_vs_live ORDER BY day, symbol")
    assert found == [("BTCUSDT", 3, 0, D(0)), ("LTCUSDT", 0, 2, D("0.9798")), ("BTCUSDT", 3, 0, D(0))]


TRIED = frozenset(
    """
    arg_max arg_min coalesce count date_diff first_value greatest lag lead least map_entries max min range round
    row_number sum unnest TRY_CAST TRY abs
    """.split()  # noqa: SIM905 - words are easier to read
)
"""Functions that were tried with DuckDB 1.4.4 and 1.5.5 on a file of ours."""


def test_views_need_nothing_that_older_tools_lack() -> None:
    """The file is in the format of DuckDB 1.4; its views must work there too. IF() of 2.0 does not."""
    used = {name for view in VIEWS for name in re.findall(r"\b([A-Za-z_]+)\(", view.sql)}
    assert {name for name in used if name not in TRIED} - {"CAST", "DECIMAL", "MAP", *map(newest_from, LARGE)} == set()


def test_a_time_and_an_account_are_asked_of_the_table_itself() -> None:
    """So row groups of other times are passed over, and rows of other accounts go no further: of ten million fills a
    question for an hour reads one group of two hundred."""
    question = "SELECT * FROM fills WHERE account = 'alice' AND exchange_ts < TIMESTAMP '2023-11-15'"
    with duckdb.connect() as con:
        ensure_schema(con)
        for account in ("alice", "bob"):
            numbers = range(0, 3 * DAY_MS, DAY_MS // 4)
            fills = [execution(n + 1, exchange_ts=UtcMs(START_MS + at)) for n, at in enumerate(numbers)]
            append(con, "executions", [codec.body_of(account, "r", n, n, fill) for n, fill in enumerate(fills, 1)])
        [(_, plan)] = ask(con, f"EXPLAIN (ANALYZE, FORMAT JSON) {question}")
        found = ask(con, question)
    parts, scans = json.loads(plan)["operator"], []
    while parts:
        part = parts.pop()
        parts += part.get("children", [])
        if part["extra_info"].get("Table", "").endswith(ROWS):
            scans.append((str(part["extra_info"]), part["intermediate_rows"]))
    assert scans
    assert [said for said, _ in scans if not re.search(r"exchange_ts < .*Dynamic Filters.*context", said)] == []
    assert sum(rows for _, rows in scans) == len(found) == 1


def test_views_of_pairs_and_fills_stand_parsed_in_the_file_and_in_a_log_that_a_kill_leaves(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    questions = ("SELECT * FROM grid_trades ORDER BY ALL", "SELECT * FROM fills ORDER BY ALL")
    [(path,)] = ask(con, "SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
    shutil.copy(path, tmp_path / "g.duckdb")
    with duckdb.connect(str(tmp_path / "g.duckdb"), config={"checkpoint_threshold": "1GB"}) as older:
        for name in PARSED_VIEWS:
            older.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT 1 AS of_an_earlier_version")
        forget_fingerprint(older, "g")
        older.execute("CHECKPOINT")
        ensure_schema(older)
        left = shutil.copytree(tmp_path, tmp_path / "left", ignore=shutil.ignore_patterns("left"))
    assert (left / "g.duckdb.wal").stat().st_size > 0
    with duckdb.connect(str(left / "g.duckdb"), read_only=True) as again:
        for question in questions:
            assert ask(again, question) == ask(con, question) != []
        texts = {name for (name,) in ask(again, "SELECT view_name FROM duckdb_views() WHERE sql LIKE '%query(%'")}
        assert "grid_levels" in texts
        assert not texts & PARSED_VIEWS


def test_money_is_never_a_float(con: duckdb.DuckDBPyConnection) -> None:
    """Ratios and times may be."""
    allowed = {"fee_bps", "to_open_ms", "up_percent"}
    for view in VIEWS:
        for name, kind, *_ in con.execute(f"SELECT * FROM {view.name}").description or []:
            assert str(kind) not in {"DOUBLE", "FLOAT"} or name in allowed, f"{view.name}.{name}"


def test_corrections_are_in_all_figures_of_money_and_count_for_the_day_of_their_execution(tmp_path: Path) -> None:
    session = Session(tmp_path, "alice")
    session.wallet("1000")
    session.fill("Buy", "100", "2", fee=D("0.04"))
    session.fill("Sell", "110", "2", fee=D("0.05"), realised_pnl=D(0))
    session.fill("Buy", "100", "1", exec_type="Funding", fee=D("0.3"))
    day_ms = session.now_ms
    session.now_ms += 2 * DAY_MS
    for exec_id, kind, realised, fee in (
        ("exec-2", "Trade", "0", "0.02"),
        ("exec-3", "Trade", "19", "0"),
        ("exec-3", "Trade", "1", "0.01"),
        ("exec-4", "Funding", "0", "-0.1"),
    ):
        session.add(
            CorrectionRecord(
                strategy="btc_grid",
                symbol="BTCUSDT",
                direction="long",
                exec_id=exec_id,
                realised_pnl=D(realised),
                fee=D(fee),
                exec_type=kind,
                is_maker=True,
                final=True,
                reason="test",
                exchange_ts=UtcMs(day_ms),
            )
        )
    session.wallet("1000")
    session.close()
    write_all(tmp_path)
    with connect(tmp_path) as con:
        assert ask(con, "SELECT realised_pnl, fee FROM fills ORDER BY seq") == [(0, D("0.06")), (20, D("0.06"))]
        assert ask(con, "SELECT realised_pnl FROM executions ORDER BY seq") == [(0,)] * 3, "as recorded"
        assert ask(con, "SELECT paid FROM funding") == [(D("0.2"),)]
        money = "fills, realised_pnl, fees, funding, net_pnl"
        expected = [(2, D(20), D("0.12"), D("0.2"), D("19.68"))]
        assert ask(con, f"SELECT {money} FROM pnl_by_strategy") == expected
        assert ask(con, f"SELECT {money} FROM pnl_daily") == expected
        assert ask(con, "SELECT expected FROM ledger ORDER BY seq DESC LIMIT 1") == [(D("1019.68"),)]
        assert ask(con, "SELECT profit, fees, net_profit FROM grid_trades") == [(D(20), D("0.12"), D("19.88"))]


def test_fees_are_told_by_coin_and_what_is_not_usdt_is_in_no_other_figure(tmp_path: Path) -> None:
    """The first fill is a genuine one of October 2025: 18 % GST on the fee."""
    session = Session(tmp_path, "alice")
    session.fill("Buy", "100", "1", fee=D("0.030245996"), taxes=D("0.004613796"), fee_currency="USDT")
    session.fill("Buy", "100", "1", fee=D(0), fee_currency="MNT", other_fees=Json('{"MNT": "0.5", "USDC": "0.09"}'))
    session.fill("Buy", "100", "1", fee=D("0.02"), fee_currency="MNT", taxes=D("0.02"), other_fees=Json('{"MNT": "1"}'))
    session.fill("Buy", "100", "1", fee=D(0), other_fees=Json('{"$x[": "1", "BTC": "9e99", "MNT": "2e20"}'))  # hostile
    session.fill("Sell", "100", "1", fee=D("0.01"), exec_type="Delivery")  # of before version 4
    session.fill("Buy", "100", "1", fee=D("0.3"), exec_type="Funding")
    session.fill("Buy", "100", "1", fee=D(9), fee_currency="MNT", other_fees=Json('{"MNT": "9"}'), shadow=True)
    session.close()
    write_all(tmp_path)
    with connect(tmp_path) as con:
        columns = "currency, executions, fees, taxes"
        assert ask(con, f"SELECT {columns} FROM fees_by_currency ORDER BY currency") == [
            ("$x[", 1, D(1), D(0)),
            ("MNT", 2, D("1.5"), D(0)),
            ("USDC", 1, D("0.09"), D(0)),
            ("USDT", 3, D("0.060245996"), D("0.024613796")),
        ]
        assert ask(con, "SELECT fees, funding, net_pnl FROM pnl_by_strategy") == [
            (D("0.060245996"), D("0.3"), D("-0.360245996"))
        ]
