"""Which connections are ended for standing still."""

from __future__ import annotations

from typing import Any

import pytest

from gridbot.paper.server import open_callers
from gridbot.paper.server.open_callers import IDLE_S, STRANGER_IDLE_S, UNFINISHED_S, OpenCallers


class Line:
    """A transport without a socket."""

    def __init__(self) -> None:
        self.is_over = False

    def get_extra_info(self, _: str) -> tuple[str, int]:
        return ("127.0.0.1", 1)

    def is_closing(self) -> bool:
        return self.is_over

    def abort(self) -> None:
        self.is_over = True

    close = abort


class Desk:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.open = OpenCallers(lambda: self.now_s)

    def line(self, **told: Any) -> Line:
        line = Line()
        caller = self.open.opened(line)  # type: ignore[arg-type]
        for name, value in told.items():
            setattr(caller, name, value)
        return line

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.open.sweep()


def test_each_has_its_own_patience() -> None:
    desk = Desk()
    half, stranger, ours = desk.line(unfinished=True, known=True), desk.line(), desk.line(known=True)
    desk.wait(UNFINISHED_S)
    assert not half.is_over
    desk.wait(1)
    assert (half.is_over, stranger.is_over) == (True, False)
    desk.wait(STRANGER_IDLE_S)
    assert (stranger.is_over, ours.is_over) == (True, False)
    desk.wait(IDLE_S)
    assert ours.is_over
    assert len(desk.open) == 0


def test_who_asks_stays_and_a_stand_still_of_ours_does_not_count() -> None:
    desk = Desk()
    busy, quiet = desk.line(), desk.line()
    for number in range(1, 4):
        desk.open.of(busy).requests = number  # type: ignore[arg-type]
        desk.open.forgive(STRANGER_IDLE_S)
        desk.wait(STRANGER_IDLE_S)
    assert not busy.is_over
    assert not quiet.is_over
    desk.wait(STRANGER_IDLE_S + 1)
    assert quiet.is_over


def test_the_oldest_stranger_gives_way_and_never_one_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_callers, "MOST_STRANGERS", 2)
    desk = Desk()
    ours = [desk.line(known=True) for _ in range(3)]
    strangers = [desk.line() for _ in range(3)]
    assert [each.is_over for each in strangers] == [True, False, False]
    assert not any(each.is_over for each in ours)


def test_what_has_ended_is_forgotten() -> None:
    desk = Desk()
    ended, upgraded, open_one = desk.line(), desk.line(), desk.line()
    ended.abort()
    desk.open.closed(upgraded)  # type: ignore[arg-type]
    desk.wait(1)
    assert len(desk.open) == 1
    assert desk.open.of(upgraded).remote == ""  # type: ignore[arg-type]
    desk.open.close()
    assert (open_one.is_over, upgraded.is_over, len(desk.open)) == (True, False, 0)
