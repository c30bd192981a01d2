"""Sentences and JSON on standard output, as commands that only read print them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import click

from supervisor.cli.sentence_lines import wrapped
from supervisor.status.screen_width import screen_width

__all__ = ["print_json", "print_lines"]


def print_lines(lines: Iterable[str]) -> None:
    """As wide as the screen; what goes on begins further in."""
    width = screen_width()
    for line in lines:
        further = " " * (len(line) - len(line.lstrip()) + 4)
        for text in wrapped(line, width, further):
            click.echo(text)


def print_json(document: object) -> None:
    """Indented on a terminal, one line anywhere else."""
    click.echo(json.dumps(document, indent=2 if sys.stdout.isatty() else None))
