"""Lines as Telegram shows them: HTML with every word of others escaped, in messages that are not too long. Pure.

Telegram counts in UTF-16 units and allows 4096 of them; markup counts here, too. A line is whole in one message, so no
tag is cut in two.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from gridbot.doors.plain_text import one_line
from supervisor.telegram.chat_commands import GIVEN

__all__ = ["LONGEST_LINE", "LONGEST_PIECE", "MOST_PIECES", "bold", "code", "line", "pieces"]

LONGEST_PIECE = 4000
LONGEST_LINE = 700
"""Characters of a line: escaped, they are fewer than a message has."""
MOST_PIECES = 4
"""Messages of one answer; of more it says that there are more."""
_WORD = r"(?:'[^']*'|[^\s'`;,]+)"
_COMMAND_LINE = re.compile(
    rf"(?:'[^']*gridbot-supervisor'|[^\s'`]*gridbot-supervisor) ((?:why|{'|'.join(verb.name for verb in GIVEN)})\b"
    rf"(?: (?!-c |--data-dir ){_WORD})*)(?: (?:-c|--data-dir) {_WORD})+"
)
"""As `gridbot.command_line.pasteable` writes them."""


def line(text: str) -> str:
    """A line of plain text."""
    return html.escape(_as_written_here(one_line(text, LONGEST_LINE)), quote=False)


def bold(text: str) -> str:
    return f"<b>{line(text)}</b>"


def code(text: str) -> str:
    """What can be copied by a touch."""
    return f"<code>{line(text)}</code>"


def _as_written_here(text: str) -> str:
    """The same with command lines as they are written in a chat: no program, no configuration, no data directory."""
    return _COMMAND_LINE.sub(lambda found: f"/{found[1]}", text)


def pieces(lines: Iterable[str], more: str = "name an account to see less at once") -> list[str]:
    """Messages that have these lines, which are markup; at least one. `more` is what to do when not all fit."""
    found: list[str] = []
    there: list[str] = []
    size = 0
    left = 0
    for each in lines:
        length = _units(each) + 1
        if len(found) == MOST_PIECES:
            left += 1
            continue
        if there and size + length > LONGEST_PIECE:
            found.append("\n".join(there))
            there, size = [], 0
            if len(found) == MOST_PIECES:
                left += 1
                continue
        there.append(each)
        size += length
    if there:
        found.append("\n".join(there))
    if left:
        found[-1] += f"\n<i>... and {left} more {'line' if left == 1 else 'lines'}; {line(more)}</i>"
    return found or ["-"]


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", errors="replace")) // 2
