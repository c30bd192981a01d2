"""Findings as lines: the verdict as a word first, then whom it is about, the check, and the sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import click

from gridbot.doctor.findings import Finding, Verdict
from supervisor.cli.sentence_lines import wrapped
from supervisor.status.screen_width import screen_width

__all__ = ["finding_lines"]

COLOURS: Final = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.REFUSED: "red"}
LEAST_ROOM: Final = 30
"""Columns that a sentence gets at least; a narrower screen has it on lines of its own."""
INDENT: Final = 8
SCREEN: Final = 24
"""Lines that are seen at once: where there are more, what is wrong has scrolled away."""


def finding_lines(findings: Sequence[Finding], *, only_bad: bool) -> Iterator[str]:
    """A line each, as wide as the screen, then one of all."""
    width = screen_width()
    shown = [finding for finding in findings if not (only_bad and finding.verdict is Verdict.OK)]
    abouts = [finding.about or "machine" for finding in shown]
    if shown:
        widths = (max(len(f.verdict) for f in shown), max(map(len, abouts)), max(len(f.check) for f in shown))
        for finding, about in zip(shown, abouts, strict=True):
            yield from _lines(finding, about, widths, width)
    yield _total(findings)
    if not only_bad and 0 < len(findings) - _counts(findings)[Verdict.OK] < len(findings) > SCREEN:
        yield "--quiet shows the warnings and refusals alone"


def _lines(finding: Finding, about: str, widths: tuple[int, int, int], width: int) -> Iterator[str]:
    word = click.style(
        finding.verdict.ljust(widths[0]), fg=COLOURS[finding.verdict], bold=finding.verdict is not Verdict.OK
    )
    begin = f"{word}  {about.ljust(widths[1])}  {finding.check.ljust(widths[2])}"
    room = width - sum(widths) - 6
    if room < LEAST_ROOM:
        yield begin.rstrip()
        lines = wrapped(finding.text, max(width - INDENT, LEAST_ROOM), further="")
        yield from (" " * INDENT + line for line in lines)
        return
    first, *more = wrapped(finding.text, room, further="")
    yield f"{begin}  {first}".rstrip()
    yield from (" " * (sum(widths) + 6) + line for line in more)


def _total(findings: Sequence[Finding]) -> str:
    counts = _counts(findings)
    words = ((Verdict.REFUSED, "refused"), (Verdict.WARNING, "warning" if counts[Verdict.WARNING] == 1 else "warnings"))
    bad = [f"{counts[verdict]} {word}" for verdict, word in words if counts[verdict]]
    text = f"{counts[Verdict.OK]} ok" + "".join(f", {each}" for each in bad)
    worst = next((v for v in (Verdict.REFUSED, Verdict.WARNING) if counts[v]), Verdict.OK)
    return click.style(text, fg=COLOURS[worst])


def _counts(findings: Sequence[Finding]) -> Counter[Verdict]:
    return Counter(finding.verdict for finding in findings)
