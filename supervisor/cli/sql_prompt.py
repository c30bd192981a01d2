"""The interactive side of `gridbot-supervisor sql`: statements one after the other, with history and completion.

A statement ends with a semicolon or an empty line. The database is open only while a statement runs, so an idle prompt
does not hold up the writer. Lines that begin with a dot are commands of the prompt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from supervisor.store.statement_end import is_ended

__all__ = ["Completer", "read_statements", "with_line_editing"]

HELP: Final = """\
End a statement with ; or an empty line. Tables and views: .tables, their columns: DESCRIBE fills;
.tables  .format table|csv|json  .help  .quit (or Ctrl-D); Ctrl-C drops the line, TAB completes names."""

_KEYWORDS: Final = """
SELECT FROM WHERE GROUP BY ORDER LIMIT ALL DESC HAVING QUALIFY JOIN LEFT USING ON AS AND OR NOT IN IS NULL BETWEEN LIKE
CASE WHEN THEN ELSE END WITH UNION DISTINCT INTERVAL DESCRIBE SUMMARIZE EXPLAIN count sum avg min max median"""


class Completer:
    """Completes the word before the cursor from keywords, tables, views and columns; for `readline`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._words = sorted({*names, *_KEYWORDS.split()}, key=str.lower)
        self._found: list[str] = []

    def matches(self, text: str) -> list[str]:
        """Words that begin with the text, in either case."""
        return [word for word in self._words if word.lower().startswith(text.lower())]

    def __call__(self, text: str, state: int) -> str | None:
        if state == 0:
            self._found = self.matches(text)
        return self._found[state] if state < len(self._found) else None


@contextlib.contextmanager
def with_line_editing(names: Sequence[str], history: Path) -> Iterator[None]:
    """Line editing, completion and a history file, where Python was built with readline."""
    try:
        import readline
    except ImportError:
        yield
        return
    with contextlib.suppress(OSError):
        readline.read_history_file(history)
    readline.set_history_length(1000)
    readline.set_completer_delims(" \t\n,.()=<>*/+-;")
    readline.set_completer(Completer(names))
    readline.parse_and_bind("tab: complete")
    try:
        yield
    finally:
        readline.set_completer(None)
        with contextlib.suppress(OSError):
            readline.write_history_file(history)


def read_statements(
    run: Callable[[str], None],
    command: Callable[[str, str], str],
    *,
    read_line: Callable[[str], str] = input,
    show: Callable[[str], None],
) -> None:
    """Read lines until the end; `run` each statement; `command(word, rest)` answers dot lines with a text to show."""
    lines: list[str] = []
    while True:
        try:
            line = read_line("... " if lines else "sql> ")
        except EOFError:
            show("")
            return
        except KeyboardInterrupt:
            lines.clear()
            show("")
            continue
        if not lines and line.strip().startswith("."):
            word, _, rest = line.strip()[1:].partition(" ")
            if word in {"quit", "exit", "q"}:
                return
            show(HELP if word == "help" else command(word, rest.strip()))
            continue
        if line.strip():
            lines.append(line)
        if lines and (not line.strip() or is_ended("\n".join(lines))):
            statement = "\n".join(lines)
            lines.clear()
            run(statement)
