"""Who may look: one-time codes that the owner of the data directory makes, and the sessions that come of them.

A code is a file in `DATA_DIR/web/codes`, which only this user can reach: its name is the SHA-256 of the code, in it
stands who had it made, and whoever could put it there may look. It opens one session, within a minute of its making.
Sessions are kept in memory alone: they end with the process, so what somebody has got hold of is worth nothing to
whoever takes its port then.

A session is two secrets. One is an HttpOnly cookie, which scripts cannot read but browsers send to every port of a
host; the other is the page's key, which browsers keep for one port alone. Neither is enough.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridbot.doors.plain_text import one_line
from gridbot.private_files import make_directory, open_private
from gridbot.rolling_limit import RollingLimit

__all__ = ["CODE_S", "Logins", "Session", "codes_directory", "is_unused", "make_code", "withdraw_code"]

CODE_S: Final = 60.0
ALPHABET: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Without those that look like others. 20 of 32 signs are 100 bits."""
GROUPS: Final = 4
LETTERS: Final = 5
LONGEST_CODE: Final = 200
LONGEST_WHO: Final = 90
FAILURES: Final = (10, 60.0)
"""So many wrong codes in so many seconds; then nobody gets in until some of them are so old."""
SESSION_S: Final = 7 * 86_400.0
IDLE_S: Final = 86_400.0
MOST_SESSIONS: Final = 50


def codes_directory(data_dir: Path) -> Path:
    """Where codes wait to be used."""
    return data_dir / "web" / "codes"


def make_code(data_dir: Path, who: str = "") -> str:
    """A new code, such as ABCDE-FGHJK-LMNPQ-RSTUV, for `who`. Raises OSError: this user may not, the disk is full."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS))
    code = "-".join(groups)
    directory = codes_directory(data_dir)
    make_directory(directory)
    with open_private(directory / _digest(code), "x", encoding="utf-8") as file:
        file.write(who)
    return code


def is_unused(data_dir: Path, code: str) -> bool:
    """Whether nobody has used it yet."""
    return (codes_directory(data_dir) / _digest(code)).exists()


def withdraw_code(data_dir: Path, code: str) -> None:
    """It opens nothing any more."""
    (codes_directory(data_dir) / _digest(code)).unlink(missing_ok=True)


def _digest(code: str) -> str:
    signs = "".join(sign for sign in code.upper() if sign.isalnum())
    return hashlib.sha256(signs.encode()).hexdigest()


@dataclass(slots=True)
class Session:
    """Somebody who looks. `who` is for records; `began_s` and `seen_s` on the monotonic clock; `is_over` at its end."""

    cookie: str
    page_key: str
    who: str
    began_s: float
    seen_s: float
    is_over: bool = False


class Logins:
    """Owns the sessions. `clock` is monotonic, `wall` the time of files (UTC), both in seconds; `uid` is ours."""

    def __init__(self, data_dir: Path, *, clock: Callable[[], float], wall: Callable[[], float], uid: int) -> None:
        self._codes = codes_directory(data_dir)
        self._clock = clock
        self._wall = wall
        self._uid = uid
        self._sessions: dict[str, Session] = {}
        self._failures = RollingLimit(*FAILURES)

    @property
    def waits_s(self) -> float:
        """Seconds until a code is looked at again; 0 when it is at once."""
        now_s = self._clock()
        return 0.0 if self._failures.left(now_s) else self._failures.wait_s(now_s)

    def enter(self, code: str) -> Session | None:
        """A new session for a code that is right, which is used up by that. Raises OSError."""
        now_s = self._clock()
        if not self._failures.left(now_s):
            return None
        who = None if len(code) > LONGEST_CODE else self._takes(_digest(code))
        if who is None:
            self._failures.take(1, now_s)
            return None
        self._forget_old(now_s)
        if len(self._sessions) >= MOST_SESSIONS:
            self._end(min(self._sessions.values(), key=lambda each: each.seen_s))
        session = Session(secrets.token_urlsafe(32), secrets.token_urlsafe(32), who, now_s, now_s)
        self._sessions[_digest_of(session.cookie)] = session
        return session

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, which has been seen by that; None when it opens nothing."""
        now_s = self._clock()
        self._forget_old(now_s)
        session = self._sessions.get(_digest_of(cookie))
        if session is None or not _same(session.cookie, cookie):
            return None
        session.seen_s = now_s
        return session

    @staticmethod
    def has_key(session: Session, page_key: str) -> bool:
        """Whether this is the key of the session's page."""
        return _same(session.page_key, page_key)

    def leave(self, session: Session) -> None:
        """Its secrets open nothing any more."""
        self._end(session)

    def _end(self, session: Session) -> None:
        session.is_over = True
        self._sessions.pop(_digest_of(session.cookie), None)

    def _forget_old(self, now_s: float) -> None:
        for session in list(self._sessions.values()):
            if now_s - session.began_s > SESSION_S or now_s - session.seen_s > IDLE_S:
                self._end(session)

    def _takes(self, digest: str) -> str | None:
        """Who had this code made, when it waits, no older than a minute; else None. It is removed with that, and so is
        what is too old."""
        found = None
        try:
            waiting = list(self._codes.iterdir())
        except FileNotFoundError:
            return None
        for path in waiting:
            age_s, is_file = self._look(path)
            if age_s is None:
                continue
            if not 0.0 <= age_s + 1.0 <= CODE_S + 1.0 or not is_file:
                path.unlink(missing_ok=True)
            elif _same(path.name, digest):
                found = _removed(path)
        return found

    def _look(self, path: Path) -> tuple[float | None, bool]:
        """Age in seconds, and whether it is a file that we have made."""
        try:
            seen = path.lstat()
        except FileNotFoundError:
            return None, False
        return self._wall() - seen.st_mtime, stat.S_ISREG(seen.st_mode) and seen.st_uid == self._uid


def _removed(path: Path) -> str | None:
    """Who had it made; None when somebody else was first: a code counts once."""
    try:
        with open_private(path, "r", encoding="utf-8", errors="replace") as file:
            who = one_line(file.read(LONGEST_WHO))
        path.unlink()
    except FileNotFoundError:
        return None
    return who


def _digest_of(cookie: str) -> str:
    """What sessions are found by: how long the search takes says nothing about the cookie."""
    return hashlib.sha256(cookie.encode(errors="replace")).hexdigest()


def _same(one: str, other: str) -> bool:
    """In constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))
