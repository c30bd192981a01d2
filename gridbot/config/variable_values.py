"""Values of variables stay out of what is said of a file: a key in the wrong line would be shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from gridbot.config.errors import Loc, Problem
from gridbot.config.variables import variables_in, with_variables
from gridbot.config.yaml_nodes import Document

__all__ = ["without_values"]

SHORTEST: Final = 10
"""Characters of a value that is hidden: keys and tokens are longer, and names of networks and symbols are not."""


def without_values(
    problems: Iterable[Problem], read: Document, filled: Mapping[Loc, str], environ: Mapping[str, str]
) -> Iterator[Problem]:
    """The problems, with a variable's name in place of its value. `filled`: texts of templates, with names in them."""
    names = dict.fromkeys(name for text in (*read.raw.values(), *filled.values()) for name in variables_in(text))
    values = {with_variables(f"${{{name}}}", environ, lambda _: None): name for name in names}
    hidden = [(value, f"${{{values[value]}}}") for value in sorted(values, key=len, reverse=True)]
    hidden = [each for each in hidden if len(each[0]) >= SHORTEST]

    def shown(text: str) -> str:
        for value, name in hidden:
            text = text.replace(value, name)
        return text

    for problem in problems:
        what, got, do = map(shown, (problem.expected, problem.got, problem.do))
        yield replace(problem, expected=what, got=got, do=do)
