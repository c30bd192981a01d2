"""What has become of alerts, numbered, for the process that tells people of them: the owner of the newest changes.

Each beginning, worsening and end has a number, from 1 on in each run of the supervisor. Who asks says which number it
had last, so it misses none when it starts anew; when more came than are kept, the answer says how many are lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from supervisor.status.alert_marks import Marks, marked, of_host

__all__ = ["AlertFeed"]

Json = dict[str, Any]
KEPT: Final = 5000
MOST: Final = 500
"""Changes in one answer."""


class AlertFeed:
    """`run` names this run of the supervisor, `marks` is what operators have said, `wall_us` the time in UTC µs.

    `asked` has the accounts whose restart was asked for, with the time ("": all of them, by the start of this run).
    """

    def __init__(
        self,
        run: str,
        marks: Callable[[], Marks],
        state: Callable[[], str],
        wall_us: Callable[[], int],
        host: str = "",
    ) -> None:
        """`host`: the name of this host in its fleet."""
        self._host = host
        self._run = run
        self._marks = marks
        self._state = state
        self._wall_us = wall_us
        self._kept: deque[Json] = deque(maxlen=KEPT)
        self._last = 0
        self._asked: dict[str, int] = {"": wall_us()}

    def add(self, row: Mapping[str, Any], phase: str) -> None:
        """`row` is shaped like an open incident of `status`."""
        self._last += 1
        self._kept.append({**of_host(row, self._host), "number": self._last, "phase": phase, "at_us": self._wall_us()})

    def asked(self, account: str) -> None:
        """Somebody has asked for a restart of this account."""
        self._asked[account] = self._wall_us()

    def news(self, run: str, after: int) -> Json:
        """The changes after that number of that run; of another run, all there are."""
        after = after if run == self._run else 0
        missed = max(0, (self._kept[0]["number"] if self._kept else self._last + 1) - after - 1)
        rows = [row for row in self._kept if row["number"] > after][:MOST]
        now_us = self._wall_us()
        marks = self._marks()
        return {
            "run": self._run,
            "last": rows[-1]["number"] if rows else self._last,
            "missed": missed,
            "news": [marked(row, marks, now_us) for row in rows],
            "asked": dict(self._asked),
            "state": self._state(),
        }
