"""Messages of the private topics as events."""

from __future__ import annotations

from typing import Any

from gridbot.bybit.mailbox import PrivateFrame
from gridbot.bybit.private_frames import PRIVATE_TOPICS, read_private
from gridbot.core.events import ExecutionEvent, OrderUpdateEvent, PositionEvent, WalletEvent
from tests.bybit.support import order_row
from tests.case_table import case_table

EXECUTION = {
    "symbol": "BTCUSDT",
    "execId": "e1",
    "execType": "Trade",
    "side": "Buy",
    "execPrice": "1",
    "execQty": "2",
    "leavesQty": "0",
    "execFee": "0.001",
}
POSITION = {"symbol": "BTCUSDT", "positionIdx": 1, "size": "0", "side": ""}
WALLET = {"coin": [{"coin": "USDT", "walletBalance": "5"}]}


def frame(topic: str, *rows: Any) -> PrivateFrame:
    return PrivateFrame(topic, list(rows), sent_ms=7, received_ns=9)


@case_table(
    ("topic", "row", "kind"),
    [
        ("order", order_row(), OrderUpdateEvent),
        ("execution", EXECUTION, ExecutionEvent),
        ("position", POSITION, PositionEvent),
        ("wallet", WALLET, WalletEvent),
    ],
)
def test_each_topic_gives_its_events(topic: str, row: dict[str, Any], kind: type):
    assert topic in PRIVATE_TOPICS
    [event], problems = read_private(frame(topic, row))
    assert type(event) is kind
    assert problems == []


def test_times_of_the_message_are_kept():
    [execution], _ = read_private(frame("execution", EXECUTION))
    [wallet], _ = read_private(frame("wallet", WALLET))
    assert isinstance(execution, ExecutionEvent)
    assert isinstance(wallet, WalletEvent)
    assert execution.received_ns == 9
    assert wallet.exchange_ts == 7


def test_other_categories_are_left_out():
    events, problems = read_private(frame("order", order_row("o1"), order_row("o2", category="spot")))
    assert [event.order_id for event in events if isinstance(event, OrderUpdateEvent)] == ["o1"]
    assert problems == []


def test_an_unreadable_row_leaves_the_others_and_is_named():
    events, problems = read_private(
        frame("execution", {"symbol": "BTCUSDT", "execId": "bad", "execType": "Trade"}, EXECUTION)
    )
    assert len(events) == 1
    assert [problem.row_id for problem in problems] == ["bad"]


def test_a_message_without_rows_is_a_problem_and_another_topic_is_nothing():
    events, problems = read_private(PrivateFrame("order", None, 0, 0))
    assert (events, len(problems)) == ([], 1)
    assert read_private(frame("greeks", {})) == ([], [])
