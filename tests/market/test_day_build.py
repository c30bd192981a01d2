"""Order, duplicates and gaps of the rows of a day."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.market import day_spool
from gridbot.market.candle_ticks import candle_ticks, grid_of
from gridbot.market.day import DAY_MS
from gridbot.market.day_build import Conflict, gaps_of, in_order, without_doubles
from gridbot.market.day_rows import ROW, Records
from gridbot.market.day_spool import DaySpool


def records(*rows: tuple[int, int], file: int = 0, ids: list[int] | None = None) -> Records:
    """Rows of (time, price)."""
    made = np.zeros(len(rows), ROW)
    made["at"], made["price"] = [at for at, _ in rows], [price for _, price in rows]
    made["file"], made["row"] = file, np.arange(len(rows)) + 2
    made["id"] = ids or 0
    return made


def prices(rows: Records) -> list[int]:
    return [int(price) for price in rows["price"]]


def test_a_file_that_is_newest_first_is_turned_round() -> None:
    """Rows of one time keep their true order, which sorting alone would not give."""
    assert prices(in_order(records((9, 4), (5, 3), (5, 2), (1, 1))).rows) == [1, 2, 3, 4]


def test_pieces_of_several_files_are_merged_by_time() -> None:
    rows = np.concatenate([records((5, 3), (7, 5), file=0), records((1, 1), (2, 2), file=1), records((6, 4), file=2)])
    found = in_order(rows)
    assert prices(found.rows) == [1, 2, 3, 4, 5]
    assert found.out_of_order == 0


def test_rows_far_out_of_order_are_counted() -> None:
    found = in_order(records((5000, 2), (6000, 3), (3000, 1), (9000, 5), (8500, 4)))
    assert prices(found.rows) == [1, 2, 3, 4, 5]
    assert found.out_of_order == 1


def test_a_row_that_is_there_again_is_left_out() -> None:
    rows = records((1, 10), (2, 20), (2, 20), (3, 30), (1, 10), ids=[7, 8, 8, 9, 7])
    kept, doubles, conflict = without_doubles(rows)
    assert (prices(kept), doubles, conflict) == ([10, 20, 30], 2, None)


def test_rows_without_an_id_are_all_kept() -> None:
    assert without_doubles(records((1, 10), (1, 10)))[1] == 0


def test_one_id_with_two_meanings_is_a_contradiction() -> None:
    rows = records((1, 10), (1, 11), ids=[7, 7])
    assert without_doubles(rows)[2] == Conflict((0, 2), (0, 3))


@given(st.lists(st.integers(0, DAY_MS - 1), max_size=20), st.integers(1, DAY_MS))
def test_gaps_are_all_times_without_a_tick(times: list[int], quiet: int) -> None:
    edges = [0, *sorted(times), DAY_MS]
    wanted = tuple((begin, end) for begin, end in pairwise(edges) if end - begin > quiet)
    assert gaps_of(np.array(sorted(times), np.int64), 0, quiet) == wanted


@given(st.lists(st.tuples(*[st.integers(1, 50)] * 4, st.integers(0, 40)), min_size=1, max_size=20))
def test_candles_become_four_ticks_that_keep_all_that_is_known(bars: list[tuple[int, ...]]) -> None:
    opens, closes = np.array([bar[0] for bar in bars]), np.array([bar[1] for bar in bars])
    highs = np.array([max(bar[:4]) for bar in bars])
    lows = np.array([min(bar[:4]) for bar in bars])
    volumes = np.array([bar[4] for bar in bars])
    starts = np.arange(len(bars)) * 60_000
    times, ticks, sizes = candle_ticks(starts, (opens, highs, lows, closes), volumes, 60_000)
    shaped = ticks.reshape(-1, 4)
    assert (np.diff(times) > 0).all()
    assert list(times[:4]) == [0, 20_000, 40_000, 59_999]
    assert list(shaped[:, 0]) == list(opens)
    assert list(shaped[:, 3]) == list(closes)
    assert list(shaped.max(1)) == list(highs)
    assert list(shaped.min(1)) == list(lows)
    assert list(sizes.reshape(-1, 4).sum(1)) == list(volumes)
    assert (sizes >= 0).all()
    near, far = np.abs(shaped[:, 1] - opens), np.abs(shaped[:, 2] - opens)
    assert (near <= far).all()


@pytest.mark.parametrize(("close", "first"), [(11, 5), (10, 5), (9, 15)])
def test_of_two_extremes_equally_far_the_direction_decides(close: int, first: int) -> None:
    corners = tuple(np.array([price]) for price in (10, 15, 5, close))
    assert candle_ticks(np.array([0]), corners, np.array([0]), 60_000)[1][1] == first


def test_the_span_of_candles() -> None:
    assert grid_of(np.array([900_000, 600_000, 0, 300_000])) == (300_000, 0, True)
    assert grid_of(np.array([5])) == (60_000, 5, False)
    assert grid_of(np.array([0, 120_000, 300_000, 600_000])) == (
        60_000,
        0,
        False,
    )  # minutes without a trade are left out
    assert grid_of(np.array([7, 60_007, 120_007, 150_000, 180_007, 240_007])) == (60_000, 7, True)
    assert grid_of(np.array([0, 1, 2, 3]) * 7 * DAY_MS).span_ms == DAY_MS


def test_many_rows_wait_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day_spool, "MOST_BYTES", 200)
    with DaySpool(tmp_path / "spool") as spool:
        for number in range(10):
            spool.add("BTCUSDT", "trades", records((number, number), (DAY_MS + number, -number), file=number))
        assert list((tmp_path / "spool").iterdir())
        first, second = spool.waiting()
        assert prices(spool.take(first)) == list(range(10))
        assert prices(spool.take(second)) == [-number for number in range(10)]
        assert spool.waiting() == []
        spool.add("BTCUSDT", "trades", records(*[(number, 1) for number in range(50)]))
        spool.drop({first})
        assert spool.waiting() == []
        spool.add("BTCUSDT", "trades", records(*[(number, 1) for number in range(50)]))
        # A process that is killed here leaves this behind, which must not become a part of the next import.
        left = {path.name: path.read_bytes() for path in (tmp_path / "spool").iterdir()}
    assert not (tmp_path / "spool").exists()
    (tmp_path / "spool").mkdir()
    for name, data in left.items():
        (tmp_path / "spool" / name).write_bytes(data)
    with DaySpool(tmp_path / "spool") as spool:
        spool.add("BTCUSDT", "trades", records(*[(number, 2) for number in range(50)]))
        assert prices(spool.take(first)) == [2] * 50
