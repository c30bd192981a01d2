"""What was corrected, believed or came late in one life holds in the next; and so do the orders that are open."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.core import Direction, PositionEvent
from gridbot.core.leg_history import Holding
from gridbot.records import builders
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import CorrectionRecord
from tests.state.checkpoint_life import Life
from tests.store.kit import execution, ticker


def corrections(life: Life) -> list[tuple[str, Decimal]]:
    records = [record for _, record in life.recorder.replay(0) if isinstance(record, CorrectionRecord)]
    return [(record.exec_id, record.realised_pnl) for record in records]


@pytest.mark.parametrize("is_saved", [True, False])
def test_what_was_corrected_or_believed_is_so_after_a_restart(tmp_path: Path, is_saved: bool) -> None:
    """Also when the records of it are behind the checkpoint; and nothing is corrected twice."""
    life = Life(tmp_path)
    life.ledger.begin(1)
    life.recorder.record(ticker(1))
    life.checkpoint.save_now(life.ledger)
    row = PositionEvent("BTCUSDT", Direction.LONG, Decimal(2), Decimal(90), exchange_ts=1_700_000_000_000, seq=0)
    life.ledger.believe("btc", row)
    life.recorder.record(builders.of_adjustment("btc", row, Holding(), "test"))
    for number, changes in (
        (2, {"side": "Sell", "price": Decimal(100), "closed_size": Decimal(1)}),
        (1, {"price": Decimal(60)}),
    ):
        event = builders.execution_of(execution(number, qty=Decimal(1), exchange_seq=number, **changes))
        realised = life.ledger.apply("btc", event)
        assert realised is not None
        for found in life.ledger.take_corrections():
            life.recorder.record(builders.of_correction(found))
        life.recorder.record(builders.of_execution("btc", event, realised, shadow=False, source="stream"))
    life.ledger.correct("e-2", Decimal(21), Decimal("0.03"), "log")
    for found in life.ledger.take_corrections():
        life.recorder.record(builders.of_correction(found))
    if is_saved:
        life.checkpoint.save_now(life.ledger)
    life.end()
    again = Life(tmp_path)
    assert again.ledger == life.ledger
    assert again.ledger.of("btc").realised == 21
    assert corrections(again) == [("e-2", 10), ("e-2", 1)]
    again.end()


def test_a_correction_that_a_power_cut_took_is_recorded_at_the_next_start(tmp_path: Path) -> None:
    """And one whose cause was taken is undone, until that execution is paged again."""
    life = Life(tmp_path)
    life.ledger.begin(1)
    life.recorder.record(ticker(1))
    life.checkpoint.save_now(life.ledger)
    opens = execution(1, price=Decimal(90), qty=Decimal(1), realised_pnl=Decimal(0), exchange_seq=1)
    close = execution(2, price=Decimal(95), qty=Decimal(1), closed_size=Decimal(1), side="Sell", exchange_seq=2)
    for record in (opens, close):  # whatever made the record say 0.1, it is 5
        life.recorder.record(record)
    life.end()
    again = Life(tmp_path)
    assert again.ledger.of("btc").realised == 5
    again.recorder.flush()
    assert corrections(again) == [("e-2", Decimal("4.9"))]
    again.end()


@pytest.mark.parametrize("content", [None, b'{"seq": 3'])
def test_an_older_execution_corrects_what_a_ledger_made_from_the_whole_journal_has(
    tmp_path: Path, content: bytes | None
) -> None:
    """The figures of such a ledger stayed as recorded, though its journal told everything from the beginning: what an
    outage had kept away came with the next start and corrected nothing (dense seed 165)."""
    life = Life(tmp_path)
    life.ledger.begin(1_700_000_000_000)
    opens, late, close = (
        execution(number, price=Decimal(price), qty=Decimal(1), realised_pnl=Decimal(0), exchange_seq=number, **changes)
        for number, price, changes in (
            (1, 90, {}),
            (2, 80, {}),
            (3, 100, {"closed_size": Decimal(1), "side": "Sell"}),
        )
    )
    for record in (opens, close):
        event = builders.execution_of(record)
        realised = life.ledger.apply("btc", event)
        assert realised is not None
        life.recorder.record(builders.of_execution("btc", event, realised, shadow=False, source="stream"))
    assert life.ledger.of("btc").realised == 10
    life.end()
    if content is not None:
        life.files.path("ledger.json").write_bytes(content)
    again = Life(tmp_path)
    assert again.ledger.of("btc").realised == 10
    again.ledger.apply("btc", builders.execution_of(late))
    assert [(found.exec_id, found.realised) for found in again.ledger.take_corrections()] == [("e-3", 5)]
    assert again.ledger.leg("btc", Direction.LONG) == (1, 85)
    again.end()


# ---------------------------------------------------------------------- open orders


@pytest.mark.parametrize("saves", ["never", "in between", "at the end"])
def test_the_open_orders_of_all_lives_are_known_at_a_start(tmp_path: Path, saves: str) -> None:
    life = Life(tmp_path)
    for link_id, state in (("a", "pending"), ("b", "open"), ("c", "open"), ("a", "open"), ("b", "filled")):
        life.record_order(link_id, state)
    if saves == "in between":
        life.checkpoint.save_now(life.ledger)
    life.record_order("c", "cancelled")
    life.record_order("d", "partially_filled")
    if saves == "at the end":
        life.checkpoint.save_now(life.ledger)
    life.end()
    again = Life(tmp_path)
    assert {key: record.state for key, record in again.checkpoint.orders.by_key.items()} == {
        "a": "open",
        "d": "partially_filled",
    }
    again.end()


def test_with_a_checkpoint_of_an_earlier_version_all_orders_of_the_journal_are_known(tmp_path: Path) -> None:
    """Only those recorded after it were: of the others no last row was ever written when they ended unseen."""
    life = Life(tmp_path)
    life.record_order("a", "open")
    life.record_order("over", "open")
    life.record_order("over", "filled")
    life.checkpoint.save_now(life.ledger)
    life.record_order("b", "open")
    life.end()
    path = life.files.path("ledger.json")
    document = json.loads(path.read_bytes())
    del document["orders"]
    path.write_text(json.dumps(document))
    again = Life(tmp_path)
    assert list(again.checkpoint.orders.by_key) == ["a", "b"]
    again.end()


def test_an_order_whose_end_the_journal_has_lost_is_open_again(tmp_path: Path) -> None:
    """The checkpoint knew of the end and no record told it: views held the order for open for ever (seed 743)."""
    life = Life(tmp_path)
    life.record_order("a", "open")
    life.record_order("a", "filled")
    life.checkpoint.save_now(life.ledger)
    [journal] = journal_directory(tmp_path, "alice").glob("*.journal")
    life.end()
    os.truncate(journal, journal.stat().st_size - 5)
    again = Life(tmp_path)
    assert list(again.checkpoint.orders.by_key) == ["a"]
    again.end()
