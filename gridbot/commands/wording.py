"""How a mistake in a command is put into words: what was expected, what came, and what was probably meant."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["CommandMistake", "closest", "counted", "did_you_mean", "one_of", "shown"]


LONGEST_SHOWN = 80
"""Characters of a value that are shown, or compared with known words; a longer one was no slip of the finger."""


class CommandMistake(ValueError):
    """A command that does not exist, or whose arguments are not its own; the text says what there is."""


def one_of(words: Sequence[str]) -> str:
    """Words as a choice: `a, b or c`. Empty for none."""
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def counted(number: int, what: str) -> str:
    """So many of something whose plural has an s: `1 file`, `12 files`, `1,200 fills`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shown(got: object) -> str:
    """A value as it came, cut when it is long."""
    text = repr(got)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def closest(got: object, known: Sequence[str]) -> str | None:
    """The known word that was probably meant; None when no word is close."""
    from difflib import get_close_matches  # not earlier: only a mistake needs it

    return next(iter(get_close_matches(str(got)[:LONGEST_SHOWN], known, n=1)), None)


def did_you_mean(got: object, known: Sequence[str]) -> str:
    """`; did you mean X?`, the end of a sentence; empty when no known word is close."""
    word = closest(got, known)
    return f"; did you mean {word}?" if word else ""
