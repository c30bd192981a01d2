"""A ledger's file: what was saved is read again, of every version."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import Direction, ExecType, Side
from gridbot.core.execution_ledger import Ledger
from gridbot.core.ledger_document import document_of, ledger_of
from tests.core.ledger_events import execution, saved

D = Decimal


def test_fundings_add_up_and_are_saved() -> None:
    ledger = Ledger()
    ledger.apply("s", execution(1, fee="0.03", kind=ExecType.FUNDING))
    ledger.apply("s", execution(2, fee="-0.01", kind=ExecType.FUNDING))
    assert ledger.of("s").funding == D("0.02")
    assert saved(ledger).of("s").funding == D("0.02")


def test_a_file_of_before_the_watermark_is_complete_as_far_as_it_was_paged() -> None:
    """As version a1c99c4 wrote it: paging went on at the newest execution, ids had no time."""
    ledger = ledger_of(
        {
            "version": 1,
            "last_exec_ts": 7,
            "totals": {"s": [1, "0", "0.1", "0"]},
            "legs": [["s", "long", "1", "100"]],
            "seen": ["e7"],
        }
    )
    assert (ledger.last_exec_ts, ledger.complete_to) == (7, 7)
    assert not ledger.is_new("e7")
    assert ledger.leg("s", Direction.LONG) == (1, 100)


def test_a_file_in_which_the_legs_of_nobody_are_mixed_leaves_them_out() -> None:
    old = document_of(Ledger()) | {"version": 1, "legs": [["", "long", "2", "1325"], ["s", "long", "1", "100"]]}
    ledger = ledger_of(old)
    assert ledger.leg("", Direction.LONG, "ETHUSDT") == (0, 0)
    assert ledger.leg("s", Direction.LONG) == ledger.leg("s", Direction.LONG, "BTCUSDT") == (1, 100)


def test_a_ledger_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a ledger of version 1 to 3, got 4"):
        ledger_of({**document_of(Ledger()), "version": 4})


def test_a_file_of_before_other_coins_is_read() -> None:
    saved = document_of(Ledger())
    totals = ledger_of({**saved, "version": 2, "totals": {"s": [3, "5", "0.2", "0.1"]}}).of("s")
    assert (totals.fills, totals.net, totals.other_fees) == (3, D("4.7"), {})


STEPS = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(900, 1100), st.integers(1, 50), st.booleans(), st.integers(-5, 5)),
    max_size=40,
)


@given(STEPS, st.integers(0, 40))
def test_a_ledger_saved_and_folded_on_equals_one_that_never_stopped(
    steps: list[tuple[Side, int, int, bool, int]], cut: int
) -> None:
    """A checkpoint and the journal behind it: kill -9 at any moment changes nothing."""
    whole, executions, realised = Ledger(), [], []
    for n, (side, price, qty, close, fee) in enumerate(steps):
        event = execution(n, side, f"{price / 10}", f"{qty / 1000}", f"{qty / 1000}" if close else "0", f"{fee / 100}")
        executions.append(event)
        realised.append(whole.apply("s", event) or D(0))
    first = Ledger()
    for event in executions[:cut]:
        first.apply("s", event)
    again = saved(first)
    for event, gained in zip(executions, realised, strict=True):  # the fold may start before the checkpoint
        again.restore("s", event, gained, shadow=False)
    again.settle("at a start")
    assert again.take_corrections() == []
    assert again.of("s") == whole.of("s")
    assert all(again.leg("s", direction) == whole.leg("s", direction) for direction in Direction)
    assert document_of(again)["seen"] == document_of(whole)["seen"]
    assert again.last_exec_ts == whole.last_exec_ts


def test_the_sums_of_an_earlier_version_are_what_was_held_before() -> None:
    """Version 1 kept the entry of a flat leg, and none of one whose entry it did not know."""
    legs = [
        ["s", "long", "1", "90", ""],
        ["s", "short", "0", "99"],
        ["", "long", "2", "5"],
        ["", "long", "1", "0", "E"],
    ]
    ledger = ledger_of(document_of(Ledger()) | {"version": 1, "legs": legs})
    ledger.apply("s", execution(2, price="100"))
    assert ledger.apply("s", execution(3, Side.SELL, "105", closed="1")) == D(10)
    assert ledger.take_corrections() == []
    assert ledger.leg("s", Direction.LONG) == (1, D(95))
    assert ledger.leg("s", Direction.SHORT) == (0, 0)
    assert ledger.leg("", Direction.LONG, "E") == (1, 0)
    assert list(ledger.legs.histories) == [("s", "", "long"), ("s", "", "short"), ("", "E", "long")]
    assert all(history.folded for history in ledger.legs.histories.values())
