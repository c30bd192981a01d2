from __future__ import annotations

from pathlib import Path

from gridbot.records.record_types import RunRecord
from gridbot.state.documents import StateFile
from gridbot.state.run_log import RunLog
from gridbot.state.state_files import StateFiles
from tests.store.kit import make_recorder


def life(data_dir: Path, run_id: str, ending: str, *, now_us: int = 1000) -> list[tuple[str, str, int | None]]:
    """Begin a run and end it as told; the events that are in the journal afterwards."""
    recorder = make_recorder(data_dir, clock_us=lambda: now_us)
    recorder.run_id = run_id
    run = RunLog(StateFile(StateFiles(data_dir / "state"), "run.json"), recorder, {"name": "alice"}, "paper")
    run.begin()
    if ending != "killed":
        run.end("stopped")
    if ending == "confirmed":
        run.confirm()
    found: list[tuple[str, str, int | None]] = [
        (record.event, record.about_run_id, record.last_heartbeat)
        for _, record in recorder.replay()
        if isinstance(record, RunRecord)
    ]
    recorder.close()
    return found


def test_an_orderly_run_has_a_start_and_an_end(tmp_path: Path) -> None:
    assert life(tmp_path, "one", "confirmed") == [("start", "one", None), ("end", "one", None)]
    assert life(tmp_path, "two", "confirmed")[2:] == [("start", "two", None), ("end", "two", None)]


def test_a_run_that_was_cut_off_is_closed_by_the_next_with_its_last_sign_of_life(tmp_path: Path) -> None:
    """Incident L34."""
    life(tmp_path, "one", "killed", now_us=5_000_000)
    events = life(tmp_path, "two", "killed", now_us=9_000_000)
    assert events == [("start", "one", None), ("crashed", "one", 5_000_000), ("start", "two", None)]
    assert life(tmp_path, "three", "confirmed")[3] == ("crashed", "two", 9_000_000)


def test_a_run_file_that_is_damaged_does_not_keep_the_next_run_from_beginning(tmp_path: Path) -> None:
    life(tmp_path, "one", "killed")
    (tmp_path / "state" / "run.json").write_bytes(b"{")
    assert life(tmp_path, "two", "confirmed")[1:] == [("start", "two", None), ("end", "two", None)]
