"""Where the numbers of link ids go on after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbot.state.documents import StateFile
from gridbot.state.generation_file import generations_from
from gridbot.state.state_files import StateFiles
from gridbot.system_ports import SystemClock


@pytest.mark.parametrize("document", [b"{}", b'{"next": null}', b'{"next": "x"}', b"not JSON"])
def test_numbers_go_on_from_the_clock_where_the_file_gives_none(tmp_path: Path, document: bytes) -> None:
    files, clock = StateFiles(tmp_path), SystemClock()
    files.write("generation.json", document)
    before_ms = clock.wall_ms()
    generations = generations_from(StateFile(files, "generation.json"), clock)
    assert files.flush()
    assert generations.available(1)
    assert before_ms <= generations.next() <= clock.wall_ms()


def test_numbers_go_on_behind_the_last_block(tmp_path: Path) -> None:
    files = StateFiles(tmp_path)
    files.write("generation.json", b'{"next": 7000000}')
    generations = generations_from(StateFile(files, "generation.json"), SystemClock())
    assert files.flush()
    assert generations.next() == 7_000_000
    assert files.read("generation.json") == b'{"next":7010000}', "the block counts as used before its first number is"


def test_many_deaths_do_not_carry_the_numbers_ahead_of_the_clock(tmp_path: Path) -> None:
    """Else an account whose files are lost, and which begins at the clock, would meet its own numbers there."""
    files, clock = StateFiles(tmp_path), SystemClock()
    began_ms = clock.wall_ms()
    for _ in range(6):  # as many restarts as the supervisor allows in ten minutes
        generations = generations_from(StateFile(files, "generation.json"), clock)
        assert files.flush()
        generations.next()
    assert generations.unused - began_ms < 120_000
    StateFile(files, "generation.json").save_now({"next": generations.unused})  # as an orderly stop does
    assert generations_from(StateFile(files, "generation.json"), clock).unused == generations.unused
