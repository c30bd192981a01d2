"""Sentences as lines that fit a screen."""

from __future__ import annotations

import re
import textwrap

__all__ = ["wrapped"]

COMMAND = re.compile(r"`[^`]*`")
NO_END = "\0"
"""Where a line may not end, and what no text on a screen holds."""


def wrapped(text: str, width: int, further: str = "  ") -> list[str]:
    """The lines of a sentence, one at least, at most `width` columns each; those after the first begin with `further`.

    What is too long stays whole: words, such as paths, and commands between backticks. A command that was pasted from
    two lines would be two commands, the first without its options.
    """
    if len(text) <= width and text.isprintable():
        return [text.rstrip()]
    kept = COMMAND.sub(lambda found: found[0].replace(" ", NO_END), text)
    lines = textwrap.wrap(kept, width, break_long_words=False, break_on_hyphens=False, subsequent_indent=further)
    return [line.replace(NO_END, " ") for line in lines] or [""]
