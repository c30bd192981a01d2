"""Who reads a fact of the market, and who is told."""

from __future__ import annotations

from supervisor.leases.fact_board import READER_S, Asked, Coming, FactBoard, Left, Read, ReadIt, Tell, Tick, step

T = 1000.0
KEY = "testnet/instrument/BTCUSDT"


def asked(board: FactBoard, name: str, since_s: float, now_s: float) -> list[object]:
    return list(step(board, Asked(name, KEY, since_s), now_s))


def test_the_first_that_asks_reads_it_for_all_that_ask_meanwhile() -> None:
    board = FactBoard()
    assert asked(board, "ada", T, T) == [ReadIt("ada", KEY)]
    assert asked(board, "bob", T - 5, T + 1) == [Coming("bob", KEY)]
    assert asked(board, "cyd", T, T + 1) == [Coming("cyd", KEY)]
    assert step(board, Read("ada", KEY, 7), T + 2) == [Tell("bob", KEY, 7), Tell("cyd", KEY, 7)]
    assert asked(board, "dan", T, T + 60) == [Tell("dan", KEY, 7)], "not older than it wants"


def test_a_reading_that_began_before_is_too_old() -> None:
    board = FactBoard()
    asked(board, "ada", T, T)
    assert asked(board, "bob", T + 1, T + 1) == [Coming("bob", KEY)], (
        "it waits for the next reading, and does not begin a second one"
    )
    assert step(board, Read("ada", KEY, 7), T + 2) == [ReadIt("bob", KEY)]
    assert step(board, Read("bob", KEY, 8), T + 3) == []
    assert asked(board, "cyd", T + 2.5, T + 4) == [ReadIt("cyd", KEY)]


def test_one_that_could_not_read_it_leaves_it_to_the_next() -> None:
    board = FactBoard()
    asked(board, "ada", T, T)
    asked(board, "bob", T, T)
    assert step(board, Read("ada", KEY, None), T + 1) == [ReadIt("bob", KEY)]
    assert step(board, Read("bob", KEY, None), T + 2) == []
    assert asked(board, "ada", T, T + 3) == [ReadIt("ada", KEY)]


def test_a_reader_that_dies_or_freezes_is_replaced() -> None:
    board = FactBoard()
    asked(board, "ada", T, T)
    asked(board, "bob", T, T)
    asked(board, "cyd", T, T)
    assert step(board, Left("cyd"), T + 1) == []
    assert step(board, Left("ada"), T + 1) == [ReadIt("bob", KEY)]
    asked(board, "dan", T, T + 1)
    assert step(board, Tick(), T + READER_S) == []
    assert step(board, Tick(), T + 1 + READER_S) == [ReadIt("dan", KEY)]
    assert step(board, Read("bob", KEY, 7), T + 40) == [], "too late"
    assert step(board, Read("dan", KEY, 8), T + 41) == []
    assert step(board, Read("dan", "another", 8), T + 41) == [], "nobody asked for that"
