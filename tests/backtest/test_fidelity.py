"""A backtest says what the real worker would have done: row by row the same as a session of it on the same days.

Usually some scenes are played; all of them, with latencies that make everything meet, when more examples are wanted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.backtest import run
from gridbot.backtest.fidelity import COMPARED, LEFT_OUT, differences, first_difference
from gridbot.simulation.even_ways import Latencies
from gridbot.simulation.market_session import play
from gridbot.store.reading import connect
from gridbot.store.schema import table_columns
from tests.backtest.both_ways import ALIKE, backtested, differing, options_of, played
from tests.backtest.drawn_scenes import drawn_scene
from tests.backtest.fidelity_scenes import SCENES
from tests.case_table import case_table
from tests.examples import examples
from tests.simulation.session_examples import BTC, ETH, START_MS, WAYS, DaysInMemory, configured, wandering

OFTEN = (
    "fills_of_one_moment",
    "partial_fills",
    "faster_than_requests",
    "loss_beyond_the_limit",
    "fundings_and_marks",
    "liquidation",
    "shadow_beside_a_live_one",
)
ALL = examples(1) > 1


@case_table("ways", [WAYS, ALIKE] if ALL else [WAYS], ids=["uneven", "alike"] if ALL else ["uneven"])
@case_table("name", SCENES if ALL else OFTEN)
def test_a_backtest_records_what_the_worker_does(name: str, ways: Latencies) -> None:
    scene = SCENES[name]()
    asked = scene.config, scene.days, START_MS, scene.end_ms, ways
    worker = played(*asked)
    assert scene.happened(worker)
    assert differing(backtested(*asked), worker) == []


def test_it_is_so_with_whole_accounts_in_databases(tmp_path: Path) -> None:
    config = configured(
        {"strat_id": "btc"},
        {"strat_id": "eth", "symbol": "ETHUSDT", "amount": "q0.1"},
        {"strat_id": "btc", "account": "bob", "grid_count": 20},
    )
    btc, eth = wandering(BTC, 500_000, 40, 1, step=300), wandering(ETH, 250_000, 40, 2, step=150)
    days, end_ms = DaysInMemory(btc.day(), eth.day()), max(btc.at_ms, eth.at_ms) + 1000
    begin, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (START_MS, end_ms))
    result = run(config, days, from_=begin, to=end, options=options_of(WAYS, config), into=tmp_path / "b" / "b.duckdb")
    played_too = connect(play(config, days, START_MS, end_ms, WAYS, tmp_path / "session"))
    since, until = begin.replace(tzinfo=None), end.replace(tzinfo=None)
    assert differences(result.connection, played_too, from_=since, until=until) == []
    query = "SELECT account, symbol, sum(fee), sum(realised_pnl), count(*) FROM executions GROUP BY ALL ORDER BY ALL"
    money = result.connection.execute(query).fetchall()
    assert [row[:2] for row in money] == [("alice", "BTCUSDT"), ("alice", "ETHUSDT"), ("bob", "BTCUSDT")]
    assert money == played_too.execute(query).fetchall()


@settings(max_examples=examples(2), deadline=None)
@given(seed=st.integers(0, 2**32))
@example(310)  # a wallet that the worker has just read in a comparison, and does not read again beside it
@example(800069)  # an answer and news of one moment: what had waited for the request's slot leaves before the news
@example(900131)  # an order that the exchange moves to the edge of its band, which a premium has widened
@example(700276)  # a comparison that reads the wallet beside the legs: a price earlier there was money for orders
def test_a_drawn_backtest_records_what_the_worker_does(seed: int) -> None:
    drawn = drawn_scene(seed)
    asked = drawn.config, drawn.days, START_MS, drawn.end_ms, drawn.ways
    assert differing(backtested(*asked), played(*asked)) == []


ROW = {"account": "alice", "run_id": "one", "seq": 1, "local_ts": 5, "strategy": "s", "order_link_id": "ab-1"}


def test_differences_name_row_and_columns() -> None:
    other = {**ROW, "run_id": "other", "seq": 9, "order_link_id": "ab-7"}
    assert first_difference("orders", [ROW], [other]) is None
    [changed] = [first_difference("orders", [ROW, {**ROW, "seq": 2, "price": 1}], [other, {**other, "price": 2}])]
    assert changed is not None
    assert (changed.row, changed.columns) == (1, ("price",))
    assert str(changed).startswith("orders, row 1: price 1 and 2, in account alice")
    assert str(first_difference("orders", [ROW], [])).startswith("orders, row 0: only the first has account alice")
    assert str(first_difference("orders", [], [ROW])).startswith("orders, row 0: only the second has account alice")


def test_readings_by_rest_are_left_out_and_strategies_of_one_moment_have_no_order() -> None:
    wallet = {"account": "alice", "run_id": "one", "seq": 1, "local_ts": 5, "source": "rest"}
    assert first_difference("wallets", [wallet], []) is None
    assert first_difference("wallets", [{**wallet, "source": "stream"}], []) is not None
    rows = [ROW, {**ROW, "seq": 2, "strategy": "t"}]
    turned = [{**ROW, "seq": 1, "strategy": "t"}, {**ROW, "seq": 2}]
    assert first_difference("orders", rows, turned) is None


def test_what_is_left_out_is_there() -> None:
    for table in COMPARED:
        names = {column.name for column in table_columns(table)}
        assert {*LEFT_OUT[""], *LEFT_OUT.get(table, ())} <= names
