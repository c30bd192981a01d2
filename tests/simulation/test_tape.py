"""What strategies were told is told again to fresh ones: over deaths, lost records and starts that are tried again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import ExecutionEvent, LimitOrders, Side, TickerEvent
from gridbot.simulation.tape import Tape

NO_ORDERS = LimitOrders(long=[], short=[])


@dataclass
class Last:
    """A strategy that remembers the last price it was told."""

    price: int = 0

    def state(self) -> Last:
        return Last(self.price)

    def to_dict(self) -> dict[str, Any]:
        return {"price": self.price}

    def on_event(self, event: Any, orders: LimitOrders) -> list[Any]:
        self.price = int(getattr(event, "last_price", None) or event.price)
        return []


def make(state: Last | None) -> Last:
    return Last(state.price if state is not None else 0)


def ticker(price: int) -> TickerEvent:
    return TickerEvent("BTCUSDT", Decimal(price))


def execution(price: int) -> ExecutionEvent:
    return ExecutionEvent("BTCUSDT", f"e{price}", "x", "l", Side.BUY, Decimal(price), Decimal(1))


def tell(tape: Tape, *events: TickerEvent | ExecutionEvent) -> None:
    for event in events:
        tape.told(event, NO_ORDERS)
        tape.engine.on_event(event, NO_ORDERS)


def begin(tape: Tape, price: int) -> None:
    tape.begin_life(make, Last(price))
    tape.engine = Last(price)


@pytest.fixture
def tape() -> Tape:
    tape = Tape(make, Last(), 10)
    tell(tape, ticker(1), execution(2))
    assert tape.difference() == ""
    return tape


def test_another_state_than_the_events_lead_to_is_a_difference(tape: Tape) -> None:
    tape.engine.price = 7
    assert tape.difference() == "price 7, a fresh one has 2"


def test_what_the_disk_kept_is_no_excuse(tape: Tape) -> None:
    tape.end_life(loses_records=False)
    begin(tape, 1)
    assert tape.difference() == "price 1, a fresh one has 2"


def test_what_was_lost_with_a_life_was_never_told(tape: Tape) -> None:
    tape.end_life(loses_records=True)
    begin(tape, 1)
    assert tape.difference() == ""
    tell(tape, execution(2))
    assert tape.difference() == "", "it is told again"


def test_a_start_that_is_tried_again_is_one_life(tape: Tape) -> None:
    """Only what the last try was told was taken for lost, and an earlier try had decided (dense seed 283)."""
    tape.end_life(loses_records=False)
    begin(tape, 2)
    tell(tape, ticker(3))
    begin(tape, 3)
    tape.end_life(loses_records=True)
    begin(tape, 2)
    assert tape.difference() == ""


def test_what_an_earlier_life_was_told_stays(tape: Tape) -> None:
    tape.end_life(loses_records=False)
    begin(tape, 2)
    tape.end_life(loses_records=True)
    begin(tape, 1)
    assert tape.difference() == "price 1, a fresh one has 2"
