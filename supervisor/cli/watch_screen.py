"""`status --watch` on a terminal: the full screen. `supervisor.status.watch_view` has what is shown and what keys mean.

curses does what is hard here: it knows the terminal, sends only what has changed (no flicker, little over ssh), and
gives the terminal back. It is in Python's own library; a framework such as textual would bring a loop and a dozen
packages for one table. The supervisor is asked in a thread, so that keys are heard while it does not answer.
"""

from __future__ import annotations

import contextlib
import curses
import locale
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gridbot.commands.targets import TargetWords, fleet_of
from gridbot.doors.plain_text import for_people
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.target_options import addressed
from supervisor.control.control_client import ControlError
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.status import tables
from supervisor.status.selection import select
from supervisor.status.watch_view import QUIT, Segment, View, lines, page_of, rows_of, step, visible

__all__ = ["watch_fleet"]

POLL_S: Final = 1.0
KEY_MS: Final = 100
"""How long a key is waited for before the clock is looked at again."""
LEAST: Final = (20, 6)
_WORDS: Final = {
    curses.KEY_UP: "up",
    curses.KEY_DOWN: "down",
    curses.KEY_PPAGE: "page up",
    curses.KEY_NPAGE: "page down",
    curses.KEY_HOME: "home",
    curses.KEY_END: "end",
    curses.KEY_BACKSPACE: "backspace",
    curses.KEY_ENTER: "enter",
}
_SIGNS: Final = {"\n": "enter", "\r": "enter", "\x1b": "escape", "\x7f": "backspace", "\b": "backspace"}
_COLOURS: Final = {"good": curses.COLOR_GREEN, "warn": curses.COLOR_YELLOW, "bad": curses.COLOR_RED}


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The newest status, when it came (monotonic s), why no newer one has; `refused` is a mistake of the command."""

    status: dict[str, Any] | None = None
    at_s: float | None = None
    lost: str = ""
    refused: CommandError | None = None


class Poller:
    """Asks again and again until it is closed; `seen` is what it knows."""

    def __init__(self, place: Path, written: TargetWords) -> None:
        self.seen = Seen()
        self._place = place
        self._written = written
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                with PatientClient(self._place) as client:
                    while not self._closed.is_set():
                        self._look(client)
                        self._closed.wait(POLL_S)
            except CommandError as error:
                self.seen = replace(self.seen, refused=error)
                return
            except (ControlError, OSError) as error:
                self.seen = replace(self.seen, lost=str(error))
                self._closed.wait(POLL_S)

    def _look(self, client: PatientClient) -> None:
        everything = client.status()
        written = self._written
        chosen = None if written.are_none else addressed(written, fleet_of(everything))
        self.seen = Seen(for_people(select(everything, chosen)), time.monotonic())


def watch_fleet(place: Path, written: TargetWords) -> ExitCode:
    """Show it until q or Ctrl-C; how it was then. Raises CommandError for names that nobody has, or no terminal."""
    locale.setlocale(locale.LC_ALL, "")
    for name in ("LINES", "COLUMNS"):
        os.environ.pop(name, None)  # the size is the terminal's, and changes with it
    os.environ.setdefault("ESCDELAY", "25")
    try:
        curses.setupterm(fd=sys.__stdout__.fileno() if sys.__stdout__ else -1)
    except curses.error as error:
        term = os.environ.get("TERM", "")
        text = f"expected a terminal that is known here, got TERM={term!r} ({error}); try TERM=xterm"
        raise CommandError(text, ExitCode.USAGE) from None
    poller = Poller(place, written)
    try:
        with _ended_by_signals(), contextlib.suppress(KeyboardInterrupt):
            curses.wrapper(lambda screen: Screen(screen, poller).run())
    finally:
        poller.close()
    seen = poller.seen
    if seen.refused is not None:
        raise seen.refused
    if seen.lost or seen.status is None:
        return ExitCode.NOT_RUNNING
    return tables.exit_code(seen.status)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end it by way of an exception, which gives the terminal back."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Screen:
    """The terminal while curses has it."""

    def __init__(self, screen: curses.window, poller: Poller) -> None:
        self._screen = screen
        self._poller = poller
        self._view = View()
        self._shown: list[list[Segment]] = []
        self._asked: tuple[object, ...] = ()
        with contextlib.suppress(curses.error):  # a terminal that cannot hide its cursor
            curses.curs_set(0)
        self._styles = _styles()
        screen.timeout(KEY_MS)

    def run(self) -> None:
        """Until q, or until the names turn out to be nobody's."""
        while self._poller.seen.refused is None:
            self._draw()
            key = self._key()
            if key in QUIT and not self._view.typing:
                return
            if key:
                self._press(key)

    def _press(self, key: str) -> None:
        status = self._poller.seen.status
        rows = [] if status is None else visible(rows_of(status), self._view)
        self._view = step(self._view, key, len(rows), page_of(status, self._screen.getmaxyx()[0]))

    def _key(self) -> str:
        """The next key in words; "" when none came. Raises KeyboardInterrupt."""
        try:
            key = self._screen.get_wch()
        except curses.error:
            return ""
        if key == curses.KEY_RESIZE:
            curses.update_lines_cols()
            self._shown, self._asked = [], ()
            return ""
        return _SIGNS.get(key, key) if isinstance(key, str) else _WORDS.get(key, "")

    def _draw(self) -> None:
        """Only when something is another line than before: nothing flickers, and an idle screen sends nothing."""
        height, width = self._screen.getmaxyx()
        seen = self._poller.seen
        age_s = None if seen.at_s is None else float(int(time.monotonic() - seen.at_s))
        asked = (seen, self._view, width, height, age_s)
        if asked == self._asked:
            return
        self._asked = asked
        if width < LEAST[0] or height < LEAST[1]:
            found = [[Segment("too small")]]
        else:
            found = lines(seen.status, self._view, width, height, age_s=age_s, lost=seen.lost)
        if found == self._shown:
            return
        self._shown = found
        self._screen.erase()
        for y, line in enumerate(found):
            x = 0
            for text, style in line:
                with contextlib.suppress(curses.error):  # the last cell of the screen: it is drawn all the same
                    self._screen.addstr(y, x, text, self._styles.get(style, 0))
                x = self._screen.getyx()[1] if self._screen.getyx()[0] == y else width
        self._screen.refresh()


def _styles() -> dict[str, int]:
    styles = {"bold": curses.A_BOLD, "dim": curses.A_DIM, "chosen": curses.A_REVERSE}
    with contextlib.suppress(curses.error):  # a terminal without colours
        curses.use_default_colors()
        for number, (name, colour) in enumerate(_COLOURS.items(), 1):
            curses.init_pair(number, colour, -1)
            styles[name] = curses.color_pair(number)
    return styles
