"""What is not needed any more is given back: code of libraries, and orders that were settled long ago."""

from __future__ import annotations

import ctypes
import itertools
import mmap
from pathlib import Path
from typing import Any

import duckdb
import pytest

from gridbot.backtest import account_job
from gridbot.backtest.run_account import RunAccount
from gridbot.backtest.unused_memory import give_back
from tests.backtest.backtest_examples import Ran, config_of, day_of

PRICES = [50_000 + 600 * (number % 2) for number in range(200)]
"""Each of them fills orders."""


def code_kb(library: str) -> int:
    """How much of its code is in memory."""
    kilobytes, is_code = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            is_code = library in line and " r-xp " in line
        elif is_code and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return kilobytes


def test_code_leaves_memory_and_comes_back_when_it_is_called() -> None:
    question = "SELECT count(*), sum(each) FROM range(1000) found(each) WHERE each % 3 = 0"
    with duckdb.connect() as con:
        asked = con.execute(question).fetchall()
        before = code_kb("_duckdb")
        give_back()
        between = code_kb("_duckdb")
        assert con.execute(question).fetchall() == asked == [(334, 166_833)]
    assert between < before / 2
    assert between < code_kb("_duckdb")


def test_code_that_is_not_as_in_its_file_stays(tmp_path: Path) -> None:
    """Read anew it would be what the file has: whatever had been written over it would be gone."""
    libc, file = ctypes.CDLL(None), tmp_path / "code"
    file.write_bytes(bytes(mmap.PAGESIZE))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0, flags=mmap.MAP_PRIVATE) as code:
        code[:4] = b"made"
        begin = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(code)))
        assert libc.mprotect(begin, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | mmap.PROT_EXEC) == 0
        give_back()
        assert code[:4] == b"made"


def test_orders_that_were_settled_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are the same, as nothing of them is under way any more."""
    day, settled, kept = day_of(PRICES, every_ms=10_000), [0], []
    remembers = Ran(config_of(), [day], minutes=34)
    forget = RunAccount.forget_settled

    def watched(worker: RunAccount) -> None:
        forget(worker)
        [runner] = worker.runners.values()
        settled.append(runner.book.index.retired)
        kept.append(len(runner.book.index.finished))

    monkeypatch.setattr(account_job, "SETTLED_US", 200_000_000)
    monkeypatch.setattr(RunAccount, "forget_settled", watched)
    forgets: Any = Ran(config_of(), [day], minutes=34)
    assert forgets.bodies == remembers.bodies
    assert kept == [after - before for before, after in itertools.pairwise(settled)]
    assert 30 < max(kept) < settled[-1] / 2
