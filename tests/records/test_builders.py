"""Records of executions and back: what the ledger is made from after a death without a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gridbot.core import ExecType, ExecutionEvent, Side
from gridbot.records import builders

D = Decimal
EVENT = ExecutionEvent(
    symbol="BTCUSDT",
    exec_id="e1",
    order_id="",
    order_link_id="",
    side=Side.SELL,
    price=D(100),
    qty=D(1),
    fee=D("0.02"),
    closed_size=D(1),
    exec_type=ExecType.DELIVERY,
    exec_word="Delivery",
    exchange_ts=5,
    seq=7,
    realised=D("1.5"),
)


@pytest.mark.parametrize(
    "event",
    [
        EVENT,
        replace(EVENT, exec_type=ExecType.UNKNOWN, exec_word="SpinOffSettle"),
        replace(EVENT, fee_currency="MNT", taxes=D("0.02"), other_fees=(("MNT", D("0.5")), ("USDC", D("0.090")))),
    ],
    ids=["delivery", "a word nobody knows", "other coins"],
)
def test_an_event_comes_back_from_its_record(event: ExecutionEvent) -> None:
    record = builders.of_execution("btc", event, D("1.5"), shadow=False, source="stream")
    assert record.exec_type == event.exec_word
    assert builders.execution_of(record) == replace(event, is_maker=record.is_maker)


def test_a_record_of_an_earlier_version_is_of_usdt() -> None:
    record = builders.of_execution("btc", EVENT, D(0), shadow=False, source="stream")
    old = builders.execution_of(replace(record, exec_type="Other", fee_currency=None, taxes=None, other_fees=None))
    assert (old.exec_type, old.fee_currency, old.taxes, old.other_fees) == (ExecType.UNKNOWN, "USDT", 0, ())
