"""A saved ledger whose times are in the future goes on from where nothing is missed and nothing counts twice."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from gridbot.core import ExecType, ExecutionEvent, Side
from gridbot.core.counted_ids import IDS_KEPT
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.core.ledger_document import document_of, ledger_of
from gridbot.core.ledger_times import AHEAD_MS, brought_back

NOW = 1_796_000_000_000
FAR = 9_000_000_000_000


def bought(number: int, at_ms: int) -> ExecutionEvent:
    return ExecutionEvent(
        symbol="BTCUSDT", exec_id=f"e{number}", order_id="o", order_link_id="l", side=Side.BUY, price=Decimal(100),
        qty=Decimal(1), fee=Decimal("0.1"), exec_type=ExecType.TRADE, exchange_ts=at_ms,
    )  # fmt: skip


def ledger_with(*times_ms: int, begun_ms: int = NOW - 10_000_000) -> Ledger:
    ledger = Ledger()
    ledger.begin(begun_ms)
    for number, at_ms in enumerate(times_ms):
        ledger.apply("btc", bought(number, at_ms))
    return ledger


def poisoned(*times_ms: int) -> dict[str, Any]:
    """As the older version saved it, after it had believed an execution of the year 2255 and paged up to it."""
    document = document_of(ledger_with(*times_ms, FAR))
    del document["forgotten_to"]
    return document | {"last_exec_ts": FAR, "complete_to": FAR, "checked_to": FAR}


def test_a_ledger_of_the_present_stays_as_it_is() -> None:
    document = document_of(ledger_with(NOW - 5000, NOW + AHEAD_MS))
    assert brought_back(document, NOW) == (document, "")
    assert brought_back({"version": 1, "last_exec_ts": 5, "seen": ["a"], "legs": []}, NOW)[1] == ""


def test_it_begins_at_the_oldest_that_is_known_and_counts_nothing_twice() -> None:
    document = poisoned(NOW - 9_000_000, NOW - 1_000_000)
    before = copy.deepcopy(document)
    changed, done = brought_back(document, NOW)
    assert document == before
    assert "2255" in done
    ledger = ledger_of(changed)
    assert ledger.complete_to - OVERLAP_MS == ledger.checked_to - OVERLAP_MS == NOW - 9_000_000
    assert ledger.last_exec_ts == NOW - 1_000_000
    for number, at_ms in enumerate((NOW - 9_000_000, NOW - 1_000_000, FAR)):
        assert ledger.apply("btc", bought(number, at_ms)) is None, "counted already"
    assert ledger.apply("btc", bought(7, NOW - 9_000_001)) is None, "before the ledger began"
    assert ledger.apply("btc", bought(8, NOW - 2_000_000)) is not None, "missed while it was blind"
    assert ledger.of("btc").fills == 4
    assert brought_back(document_of(ledger), NOW)[1] == "", "once"
    assert not ledger_of(document_of(ledger)).is_new("x", NOW - 9_000_001), "also after the next start"


def test_legs_go_on_after_it() -> None:
    """A later execution is later than what claimed to be of the future, and the legs are what they were."""
    ledger = ledger_of(brought_back(poisoned(NOW - 9_000_000), NOW)[0])
    assert ledger.leg("btc", next(iter(ledger.legs.histories))[2]) == (2, 100)
    [history] = ledger.legs.histories.values()
    assert [step.exchange_ts for step in history.steps] == [NOW - 9_000_000, NOW + AHEAD_MS]


def test_rows_and_folds_of_the_future_are_bounded() -> None:
    document = poisoned(NOW - 5000)
    document["legs"][0][-1][0][3] = FAR
    document["legs"][0][-1][2] = [[FAR, 5, "2", "200"]]
    [history] = ledger_of(brought_back(document, NOW)[0]).legs.histories.values()
    assert history.folded_to.exchange_ts == history.rows[0].exchange_ts == NOW + AHEAD_MS


def test_when_ids_were_forgotten_it_begins_where_all_are_known() -> None:
    times = [NOW - 10_000_000 + number * 1000 for number in range(IDS_KEPT + 500)]
    document = poisoned(*times)
    document["seen"] = document["seen"][-IDS_KEPT:]
    ledger = ledger_of(brought_back(document, NOW)[0])
    begin_ms = ledger.complete_to - OVERLAP_MS
    assert times[-IDS_KEPT] < begin_ms < times[-1]
    assert all(not ledger.is_new(f"e{number}", at_ms) for number, at_ms in enumerate(times))
    assert not ledger.is_new("unknown", begin_ms)
    assert ledger.is_new("missed", begin_ms + 1)


@pytest.mark.parametrize("seen", [[], ["a", "b"], [["a", FAR]]])
def test_without_any_time_it_begins_now(seen: list[Any]) -> None:
    ledger = ledger_of(brought_back(poisoned() | {"seen": seen}, NOW)[0])
    assert (ledger.complete_to, ledger.last_exec_ts) == (NOW, NOW)
    assert not ledger.is_new("x", NOW)


def test_a_ledger_of_version_1_and_times_beyond_all_reason() -> None:
    legs = [["btc", "long", "1", "100", "BTCUSDT"]]
    changed, done = brought_back(
        {"version": 1, "last_exec_ts": 2**63 - 1, "totals": {}, "legs": legs, "seen": ["a"]}, NOW
    )
    assert str(2**63 - 1) in done
    assert ledger_of(changed).complete_to == NOW
