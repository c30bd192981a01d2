"""What `adopt` has found, as the command line prints it: a table of orders for each strategy."""

from __future__ import annotations

from supervisor.cli.answer_output import rendered
from supervisor.remote.adoption_words import COLUMNS, document_of, parts_of
from supervisor.status.screen_width import UNBOUNDED, screen_width

__all__ = ["document_of", "table_of"]


def table_of(target: str, answer: str) -> str:
    """The lines for people."""
    document = document_of(answer)
    lines = [f"{target}: {document['said']}"]
    for part in parts_of(document):
        lines += ["", part.head]
        if part.rows:
            lines.append("".join(rendered(COLUMNS, [part.rows], "table", screen_width(UNBOUNDED))).rstrip("\n"))
        lines += [f"  {line}" for line in part.lines]
    return "\n".join(lines)
