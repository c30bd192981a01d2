"""What went with files that somebody removed while the writer runs: told with a count, never in silence."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gridbot.command_line import pasteable

__all__ = ["Losses"]

WAIT_S: Final = 5.0
"""From the removal of the database to a new one: workers look each second whether their journals are still there, and
make them again. A new database that is quicker than they would take what is on its way for lost."""
SHOWN: Final = 5


class Losses:
    """Watches over the database file of one writer, and adds up the records that the database will never have."""

    def __init__(self, data_dir: Path, database: Path) -> None:
        self._data_dir = data_dir
        self._database = database
        self._was_there = False
        """At the last look."""
        self._gone_since: float | None = None
        self._made_again = False
        """A new file has all that the journals hold."""
        self._ranges: list[tuple[str, int, int]] = []
        self.count = 0
        """Records that neither the database nor a journal has."""

    def is_removed(self, now: float) -> bool:
        """True while the file is gone and no new one may be made yet. `now` is monotonic, in seconds."""
        if self._database.exists():
            self._was_there = True
            return False
        if self._was_there:  # also a new one, before it has all that the journals hold
            self._was_there, self._gone_since, self._made_again = False, now, False
        return self._gone_since is not None and now - self._gone_since < WAIT_S

    @property
    def wants_another(self) -> bool:
        """Whether a file was removed and no new one is there."""
        return self._gone_since is not None and not self._database.exists()

    def caught_up(self) -> None:
        """The database has everything that the journals hold."""
        self._made_again |= self._gone_since is not None
        self._gone_since = None

    @property
    def waiting(self) -> str:
        """Why nothing is written at the moment."""
        return f"{self._database} was removed while the bot runs; a new one is made from the journals within seconds"

    def note(self, gaps: Iterable[tuple[str, int, int, str]]) -> None:
        """Numbers that were jumped over: account, first, last, reason."""
        for account, first, last, _ in gaps:
            self.count += last - first + 1
            self._ranges.append((account, first, last))
        del self._ranges[:-SHOWN]

    @property
    def text(self) -> str:
        """What happened and what to do, for the operator; empty when nothing did."""
        begin = ""
        if self._gone_since is not None or self._made_again:
            made = "a new one was made" if self._made_again else "a new one is made within seconds"
            begin = f"somebody removed the database {self._database} while the bot runs; {made} from the journals"
        if not self.count:
            return f"{begin}: no record is lost" if self._made_again else begin
        ranges = ", ".join(f"{account} {first} to {last}" for account, first, last in self._ranges)
        stop, rebuild, look = (
            pasteable(command, data_dir=self._data_dir) for command in ("stop", "rebuild", "ledger check --exchange")
        )
        separator = ": " if begin else ""
        return (
            f"{begin}{separator}{self.count} records are lost, which no journal has any more ({ranges}). With a backup "
            f"of the database: `{stop} && cp BACKUP {shlex.quote(str(self._database))} && {rebuild}`, then start; "
            f"without one, `{look}` names the executions that are missing"
        )
