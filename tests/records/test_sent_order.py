"""The record of an order that is being sent is what the codec would have made of it, and what the journal can read."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, Side
from gridbot.orders.order import OrderState, TrackedOrder, Transition
from gridbot.records import builders, codec
from gridbot.records.record_types import OrderRecord
from gridbot.records.sent_order import SentOrders
from tests.orders.helpers import make_order
from tests.store.kit import make_recorder

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
FIGURES = st.decimals(min_value=0, allow_nan=False, allow_infinity=False)


def record_of(order: TrackedOrder) -> OrderRecord:
    return builders.of_transition(Transition(order, order.state, order.state, is_sending=True), shadow=False)


@given(
    st.tuples(NAMES, NAMES),
    st.sampled_from(Side),
    st.sampled_from(Direction),
    FIGURES,
    FIGURES,
    st.booleans(),
    st.integers(1, 99),
)
def test_each_byte_is_that_of_the_codec(
    owner: tuple[str, str],
    side: Side,
    direction: Direction,
    price: Decimal,
    qty: Decimal,
    closes: bool,
    attempt: int,
) -> None:
    order = make_order(1, side=side, direction=direction)
    order.strat_id, order.symbol = owner
    order.price, order.qty, order.reduce_only, order.attempt = price, qty, closes, attempt
    data = SentOrders(*owner).data(order)
    assert data is not None
    head = codec.head_of("orders", "alice", "run-1")
    expected = codec.encode("alice", "run-1", 7, 8_000_000, record_of(order))
    assert codec.encode_data(head, 7, 8_000_000, data) == expected


def test_each_leg_and_side_has_its_own_text() -> None:
    lines = SentOrders("btc", "BTCUSDT")
    for number, (side, direction) in enumerate((s, d) for s in Side for d in Direction for _ in range(2)):
        order = make_order(number, side=side, direction=direction)
        data = lines.data(order)
        assert data is not None
        assert f'"direction":"{direction}","side":"{side}"'.encode() in data


@pytest.mark.parametrize("what", ["order_id", "cum_exec_qty", "state"])
def test_an_order_of_which_more_is_known_is_recorded_like_any_other(what: str) -> None:
    order = make_order(1)
    setattr(order, what, {"order_id": "x", "cum_exec_qty": Decimal("0.001"), "state": OrderState.UNRESOLVED}[what])
    assert SentOrders("btc", "BTCUSDT").data(order) is None


def test_the_recorder_numbers_it_among_the_others(tmp_path: Path) -> None:
    recorder = make_recorder(tmp_path)
    order = make_order(1)
    lines = SentOrders(order.strat_id, order.symbol)
    data = lines.data(order)
    assert data is not None
    assert [recorder.record(record_of(order)), recorder.record_sent(data), recorder.record_sent(data)] == [1, 2, 3]
    recorder.flush()
    assert [(header.seq, record) for header, record in recorder.replay()] == [(n, record_of(order)) for n in (1, 2, 3)]
    recorder.close()


def test_without_room_in_memory_it_is_refused_and_spends_no_number(tmp_path: Path) -> None:
    order = make_order(1)
    data = SentOrders(order.strat_id, order.symbol).data(order)
    assert data is not None
    recorder = make_recorder(tmp_path, memory_limit=len(data))
    taken = [recorder.record_sent(data) for _ in range(3)]
    assert (taken, recorder.stats.records_refused, recorder.last_seq) == ([1, 0, 0], 2, 1)
    recorder.close()
