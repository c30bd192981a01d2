"""The ledger of the next start: checkpoint and journal together, whatever happened to either."""

from __future__ import annotations

import itertools
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.core import Direction, PositionEvent
from gridbot.core.execution_ledger import OVERLAP_MS, Ledger
from gridbot.core.leg_history import Holding
from gridbot.records import builders
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import CorrectionRecord, ExecutionRecord
from gridbot.records.recorder import Recorder
from gridbot.segment_file import segment_path
from gridbot.state.documents import StateFile
from gridbot.state.ledger_checkpoint import Checkpoint
from gridbot.state.state_files import StateFiles
from gridbot.state.state_log import StateLog
from tests.records.test_open_orders import order
from tests.store.kit import execution, make_recorder, ticker

NUMBERS = itertools.count(1)


class Life:
    """One life of a worker, as far as its ledger goes."""

    def __init__(self, data_dir: Path) -> None:
        self.recorder: Recorder = make_recorder(data_dir, segment_bytes=2000)
        self.recorder.run_id = f"life-{next(NUMBERS)}"
        self.files = StateFiles(data_dir / "state" / "alice")
        self.problems: list[str] = []
        self.checkpoint = Checkpoint(
            StateFile(self.files, "ledger.json"),
            self.recorder,
            StateLog(self.files, self.recorder),
            self.problems.append,
        )
        self.ledger: Ledger = self.checkpoint.load()

    def trade(self, first: int, last: int) -> None:
        for number in range(first, last + 1):
            record = execution(number)
            self.recorder.record(record)
            self.recorder.record(ticker(number))
            event = builders.execution_of(record)
            self.ledger.restore(record.strategy, event, record.realised_pnl, shadow=False, is_final=True)
            self.recorder.flush()

    def record_order(self, link_id: str, state: str) -> None:
        record = order(link_id, state)
        self.recorder.record(record)
        self.checkpoint.orders.take(record)
        self.recorder.flush()

    def end(self) -> None:
        self.files.close()
        self.recorder.close()


def assert_counted(ledger: Ledger, fills: int) -> None:
    totals = ledger.of("btc")
    assert (totals.fills, totals.realised, totals.fees) == (fills, Decimal("0.1") * fills, Decimal("0.0208") * fills)


@pytest.mark.parametrize("saves", ["never", "in between", "at the end"])
def test_each_execution_is_counted_once_after_a_restart(tmp_path: Path, saves: str) -> None:
    life = Life(tmp_path)
    life.trade(1, 5)
    if saves == "in between":
        life.checkpoint.save(life.ledger)
    life.trade(6, 9)
    if saves == "at the end":
        life.checkpoint.save_now(life.ledger)
    life.end()
    again = Life(tmp_path)
    assert_counted(again.ledger, 9)
    again.end()


@pytest.mark.parametrize("content", [b'{"seq": 3', b"{}", b'{"seq": "x", "ledger": {}}', b'{"seq": 1, "ledger": [1]}'])
def test_a_checkpoint_that_cannot_be_used_is_made_again_from_the_journal(tmp_path: Path, content: bytes) -> None:
    life = Life(tmp_path)
    life.trade(1, 4)
    life.end()
    life.files.path("ledger.json").write_bytes(content)
    again = Life(tmp_path)
    assert_counted(again.ledger, 4)
    again.end()


@pytest.mark.parametrize("content", [None, b'{"seq": 3'])
def test_a_ledger_whose_checkpoint_is_lost_began_with_its_journal(tmp_path: Path, content: bytes | None) -> None:
    """It began with the start, or with its first execution: what was filled before that was never recorded."""
    life = Life(tmp_path)
    assert life.ledger.complete_to == 0
    life.recorder.record(ticker(1))
    life.recorder.flush()
    life.ledger.begin(life.recorder.replay().__next__()[0].local_ts // 1000 + 250)
    life.checkpoint.save_now(life.ledger)
    life.end()
    if content is None:
        life.files.path("ledger.json").unlink()
    else:
        life.files.path("ledger.json").write_bytes(content)
    again = Life(tmp_path)
    ledger = again.ledger
    assert ledger.complete_to == ledger.checked_to == life.ledger.complete_to - 250
    again.trade(1, 1)
    again.end()
    third = Life(tmp_path)
    assert third.ledger.complete_to == ledger.complete_to, "an execution does not move where paging goes on"
    third.end()


def test_segments_stay_until_the_checkpoint_behind_them_is_on_the_disk(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.trade(1, 20)
    life.recorder.ack(life.recorder.last_seq)
    assert life.recorder.replay().__next__()[0].seq == 1, "the database has it all, the next start needs it"
    (life.files.path("ledger.json") / "file").mkdir(parents=True)  # the disk refuses
    life.checkpoint.save(life.ledger)
    assert not life.files.flush(timeout_s=0.1)
    life.checkpoint.release()
    life.trade(21, 21)
    life.recorder.ack(life.recorder.last_seq)
    assert life.recorder.replay().__next__()[0].seq == 1
    (life.files.path("ledger.json") / "file").rmdir()
    life.files.path("ledger.json").rmdir()
    assert life.files.flush()
    life.checkpoint.release()
    life.trade(22, 22)
    life.recorder.ack(life.recorder.last_seq)
    assert life.recorder.replay().__next__()[0].seq > 20
    life.end()
    again = Life(tmp_path)
    assert_counted(again.ledger, 22)
    again.end()


@pytest.mark.parametrize("copy", ["older", "torn"])
def test_a_copy_that_ends_before_the_journal_begins_counts_nothing_twice(tmp_path: Path, copy: str) -> None:
    """What was counted in between is in no file any more: paged again, it would be recorded a second time."""
    life = Life(tmp_path)
    life.trade(1, 3)
    life.checkpoint.save_now(life.ledger)
    file = life.files.path("ledger.json")
    older = file.read_bytes() if copy == "older" else b"{"
    life.trade(4, 20)
    life.checkpoint.save_now(life.ledger)
    life.checkpoint.release()
    life.recorder.ack(life.recorder.last_seq)
    life.trade(21, 40)
    first = next(record for _, record in life.recorder.replay() if isinstance(record, ExecutionRecord))
    assert first.exchange_ts > 1_700_000_000_003 + 1
    assert life.ledger.last_exec_ts == 1_700_000_000_040
    life.end()
    file.write_bytes(older)
    again = Life(tmp_path)
    counted = [record.exec_id for _, record in again.recorder.replay() if isinstance(record, ExecutionRecord)]
    assert_counted(again.ledger, len(counted))
    assert again.ledger.complete_to - OVERLAP_MS == first.exchange_ts + 1, "where paging begins"
    assert not again.ledger.is_new("e-40")
    assert again.ledger.last_exec_ts == life.ledger.last_exec_ts
    assert [f"{file} is an older copy" in text for text in again.problems] == [True] * (copy == "older")
    again.end()


@pytest.mark.parametrize("copy", ["older", "torn"])
def test_without_an_execution_in_the_journal_counting_begins_where_it_begins(tmp_path: Path, copy: str) -> None:
    """What was filled after the last life's end is paged; what is before it may be counted already."""
    life = Life(tmp_path)
    life.trade(1, 3)
    life.checkpoint.save_now(life.ledger)
    file = life.files.path("ledger.json")
    older = file.read_bytes() if copy == "older" else b"{"
    life.trade(4, 9)
    for number in range(40):
        life.recorder.record(ticker(number))
        life.recorder.flush()
    life.checkpoint.save_now(life.ledger)
    life.checkpoint.release()
    life.recorder.ack(life.recorder.last_seq)
    left = list(life.recorder.replay())
    assert not [record for _, record in left if isinstance(record, ExecutionRecord)]
    life.end()
    file.write_bytes(older)
    again = Life(tmp_path)
    assert again.ledger.totals == {}
    assert again.ledger.complete_to - OVERLAP_MS == left[0][0].local_ts // 1000
    again.end()


def test_a_torn_end_of_the_journal_leaves_the_checkpoint_before_it(tmp_path: Path) -> None:
    """Numbers go on above the record that was torn: the hole is no lost beginning."""
    life = Life(tmp_path)
    life.trade(1, 3)
    life.checkpoint.save_now(life.ledger)
    saved, at = life.recorder.last_seq, life.recorder.journal.position
    life.recorder.record(ticker(4))
    life.end()
    with segment_path(life.recorder.journal.directory, at[0]).open("r+b") as segment:
        segment.seek(at[1] + 30)
        segment.write(b"\0")
    again = Life(tmp_path)
    assert again.recorder.stats.damages
    again.recorder.record(ticker(5))
    again.end()
    third = Life(tmp_path)
    assert third.recorder.replay(saved).__next__()[0].seq > saved + 1
    assert third.problems == []
    assert_counted(third.ledger, 3)
    third.end()


def test_nothing_is_written_when_nothing_was_counted(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.trade(1, 1)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    before = life.files.path("ledger.json").stat().st_ino
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    assert life.files.path("ledger.json").stat().st_ino == before
    life.trade(2, 2)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    assert (after := life.files.path("ledger.json").stat().st_ino) != before
    life.ledger.reached(complete_to=life.ledger.last_exec_ts + 1)
    life.checkpoint.save(life.ledger)
    assert life.files.flush()
    assert life.files.path("ledger.json").stat().st_ino != after
    life.end()


def test_what_is_complete_survives_a_restart_and_live_fills_do_not_move_it(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.ledger.begin(1)
    life.ledger.reached(complete_to=50)
    life.checkpoint.save_now(life.ledger)
    life.trade(1, 3)
    life.end()
    again = Life(tmp_path)
    assert again.ledger.last_exec_ts > again.ledger.complete_to == 50
    again.end()


def test_a_checkpoint_of_before_the_watermark_still_opens(tmp_path: Path) -> None:
    """The form of version a1c99c4: no `complete_to`, ids without a time."""
    life = Life(tmp_path)
    life.trade(1, 4)
    life.checkpoint.save_now(life.ledger)
    life.trade(5, 6)
    life.end()
    path = life.files.path("ledger.json")
    document = json.loads(path.read_bytes())
    old = document["ledger"]
    del old["complete_to"], old["checked_to"]
    old["version"] = 1
    old["legs"] = [["btc", "long", "0.010", "104233.10", ""]]
    old["seen"] = [exec_id for exec_id, _ in old["seen"]]
    path.write_text(json.dumps(document))
    again = Life(tmp_path)
    assert_counted(again.ledger, 6)
    assert again.ledger.complete_to == old["last_exec_ts"]
    assert again.ledger.leg("btc", Direction.LONG) == (Decimal("0.021"), Decimal("104233.10"))
    again.end()


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
