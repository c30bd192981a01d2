"""Defaults and templates checked by themselves: a mistake is told before the first account takes it. Pure.

Whoever uses a template may have its wrong value replaced, and a template that nobody uses is in no entry at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import ValidationError

from gridbot.config.errors import Problem
from gridbot.config.layers import LAYERED, expanded
from gridbot.config.models import GridbotConfig
from gridbot.config.template_names import KINDS, Kind
from gridbot.config.validation_problems import problems_of
from gridbot.config.yaml_nodes import Document
from gridbot.exchange.environment import Environment

__all__ = ["layer_problems"]

NAME = "trial"


class _AnyVariable(dict[str, str]):
    """An environment in which each variable has a value: which one a template gets is not known yet."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return name


def layer_problems(read: Document, unused: Collection[tuple[Kind, str]]) -> Iterator[Problem]:
    """What is wrong with keys and values of defaults and templates. `read`: the file before it was written out.

    A missing key is no mistake here, since whoever uses the template may have it; nor is a value with a variable. Of
    templates that somebody uses it is single values only: what they are together is judged where they are used.
    """
    layered = {section: read.data[section] for section in LAYERED if isinstance(read.data.get(section), dict)}
    if not layered:
        return
    document = Document(
        {**layered, **_trial(layered.get("templates", {}))},
        {place: text for place, text in read.raw.items() if place[:1] and place[0] in LAYERED},
        {place: line for place, line in read.lines.items() if place[:1] and place[0] in LAYERED},
    )
    made = expanded(document, _AnyVariable())
    of_values: list[Problem] = []
    try:
        GridbotConfig.model_validate(made.document.data or {})
    except ValidationError as error:
        of_values += problems_of(error, GridbotConfig, made.document.raw)
    for problem in (*made.problems, *of_values):
        place = made.written(problem.loc)
        is_single = place in document.raw and problem in of_values
        if (is_single or place[1:3] in unused) and place in document.lines and "${" not in document.raw.get(place, ""):
            yield Problem(place, problem.expected, problem.got, problem.do, document.lines[place])


def _trial(templates: dict[str, Any]) -> dict[str, Any]:
    """A file in which an account, or a strategy, uses each of them; what those have to have wins over it.

    The first of each has the defaults alone.
    """
    account = {"name": NAME, "environment": Environment.PAPER.value}
    strategy = {"strat_id": NAME, "account": NAME, "symbol": "BTCUSDT"}
    of_accounts, of_strategies = (
        list(section) if isinstance(section := templates.get(kind), dict) else [] for kind in KINDS
    )
    accounts = [{**account, "name": f"{NAME}-{n}", "template": name} for n, name in enumerate(of_accounts)]
    strategies = [{**strategy, "strat_id": f"{NAME}-{n}", "template": name} for n, name in enumerate(of_strategies)]
    alone = {"template": None}
    return {
        "accounts": [{**account, **alone}, *accounts],
        "strategies": [{**strategy, **alone}, *strategies],
    }
