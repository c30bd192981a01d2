"""Codes and sessions: one use, one minute, no guess, and an end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from supervisor.web.logins import (
    CODE_S,
    FAILURES,
    IDLE_S,
    MOST_SESSIONS,
    SESSION_S,
    Logins,
    codes_directory,
    is_unused,
    make_code,
    withdraw_code,
)


class Clocks:
    """`s`, monotonic, passes when a test says so; `ahead_s` is how far the time of day is from that of the files."""

    def __init__(self, data_dir: Path) -> None:
        self.s = self.ahead_s = 0.0
        self.logins = Logins(data_dir, clock=lambda: self.s, wall=self.wall, uid=os.geteuid())

    def wall(self) -> float:
        return time.time() + self.ahead_s


@pytest.fixture
def at(tmp_path):
    return Clocks(tmp_path)


def test_a_code_opens_one_session(at, tmp_path):
    code = make_code(tmp_path)
    assert is_unused(tmp_path, code)
    session = at.logins.enter(code.lower().replace("-", " "))
    assert session is not None
    assert not is_unused(tmp_path, code)
    assert at.logins.enter(code) is None
    assert at.logins.find(session.cookie) is session
    assert at.logins.has_key(session, session.page_key)


@pytest.mark.parametrize("wrong", ["", "A", "é", "\ud800", "x" * 10_000, "../../etc/passwd", "."])
def test_a_wrong_code_opens_nothing(at, tmp_path, wrong):
    make_code(tmp_path)
    assert at.logins.enter(wrong) is None
    session = at.logins.enter(make_code(tmp_path))
    assert session is not None
    assert at.logins.find(wrong) is None
    assert not at.logins.has_key(session, wrong)
    assert not at.logins.has_key(session, session.cookie)
    assert at.logins.find(session.page_key) is None


@pytest.mark.parametrize(("age_s", "opens"), [(CODE_S - 0.1, True), (CODE_S + 0.1, False)])
def test_a_code_is_good_for_a_minute(tmp_path, age_s, opens):
    code = make_code(tmp_path)
    [made] = codes_directory(tmp_path).iterdir()
    now_s = made.stat().st_mtime + age_s
    logins = Logins(tmp_path, clock=lambda: 0.0, wall=lambda: now_s, uid=os.geteuid())
    assert (logins.enter(code) is not None) is opens
    assert list(codes_directory(tmp_path).iterdir()) == []


def test_a_code_that_is_withdrawn_or_from_the_future_or_no_file_of_ours_opens_nothing(at, tmp_path):
    code = make_code(tmp_path)
    withdraw_code(tmp_path, code)
    assert at.logins.enter(code) is None
    code = make_code(tmp_path)
    at.ahead_s = -3600.0
    assert at.logins.enter(code) is None
    at.ahead_s = 0.0
    code = make_code(tmp_path)
    waiting = next(codes_directory(tmp_path).iterdir())
    waiting.rename(tmp_path / "elsewhere")
    waiting.symlink_to(tmp_path / "elsewhere")
    assert at.logins.enter(code) is None
    code = make_code(tmp_path)
    strange = Logins(tmp_path, clock=lambda: 0.0, wall=at.wall, uid=os.geteuid() + 1)
    assert strange.enter(code) is None, "a file of another user"


def test_codes_are_for_their_user_alone_and_hard_to_guess(tmp_path):
    codes = {make_code(tmp_path) for _ in range(50)}
    assert len(codes) == 50
    assert all(len(code) == 23 for code in codes)
    directory = codes_directory(tmp_path)
    assert directory.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 and path.name not in codes for path in directory.iterdir())


def test_after_too_many_wrong_codes_none_is_looked_at_for_a_while(at, tmp_path):
    most, window_s = FAILURES
    for _ in range(most):
        assert at.logins.waits_s == 0.0
        at.logins.enter("wrong")
    assert 0.0 < at.logins.waits_s <= window_s + 1
    code = make_code(tmp_path)
    assert at.logins.enter(code) is None
    at.s += window_s + 1
    assert at.logins.waits_s == 0.0
    assert at.logins.enter(make_code(tmp_path)) is not None


def test_a_session_ends_by_itself_when_it_is_left_and_when_there_are_too_many(at, tmp_path):
    def entered():
        return at.logins.enter(make_code(tmp_path))

    idle, busy = entered(), entered()
    at.logins.leave(entered())
    at.s = IDLE_S - 1
    assert at.logins.find(busy.cookie) is busy
    at.s = IDLE_S + 1
    assert at.logins.find(idle.cookie) is None
    assert idle.is_over
    while at.s < SESSION_S:
        at.s += IDLE_S / 2
        at.logins.find(busy.cookie)
    assert busy.is_over
    at.s = 0.0
    many = [entered() for _ in range(MOST_SESSIONS + 1)]
    assert many[0].is_over
    assert not many[-1].is_over
    at.logins.leave(many[-1])
    assert many[-1].is_over
    assert at.logins.find(many[-1].cookie) is None
