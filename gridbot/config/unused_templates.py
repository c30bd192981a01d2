"""Templates that nobody uses are checked as well: a mistake in one is told before the first account takes it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from gridbot.config.errors import Problem
from gridbot.config.layers import expanded
from gridbot.config.models import GridbotConfig
from gridbot.config.template_names import Kind
from gridbot.config.validation_problems import problems_of
from gridbot.config.yaml_nodes import Document
from gridbot.exchange.environment import Environment

__all__ = ["unused_problems"]

NAME = "unused"


class _AnyVariable(dict[str, str]):
    """An environment in which each variable has a value: which one a template gets is not known yet."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return name


def unused_problems(read: Document, unused: list[tuple[Kind, str]]) -> Iterator[Problem]:
    """What is wrong with keys of these templates. `read`: the file before its layers were written out.

    A missing key is no mistake here, since whoever uses the template may have it; nor is a value with a variable.
    """
    if not unused:
        return
    document = Document(
        _trial(read.data["templates"], unused),
        {place: text for place, text in read.raw.items() if place[:1] == ("templates",)},
        {place: line for place, line in read.lines.items() if place[:1] == ("templates",)},
    )
    made = expanded(document, _AnyVariable())
    found = list(made.problems)
    try:
        GridbotConfig.model_validate(made.document.data or {})
    except ValidationError as error:
        found += problems_of(error, GridbotConfig, made.document.raw)
    for problem in found:
        place = made.written(problem.loc)
        if place in document.lines and "${" not in document.raw.get(place, ""):
            yield Problem(place, problem.expected, problem.got, problem.do, document.lines[place])


def _trial(templates: Any, unused: list[tuple[Kind, str]]) -> dict[str, Any]:
    """A file in which an account, or a strategy, uses each of them; what those have to have wins over it."""
    base = {"name": NAME, "environment": Environment.PAPER.value}
    accounts: list[dict[str, Any]] = [base]
    strategies: list[dict[str, Any]] = []
    for number, (kind, name) in enumerate(unused):
        if kind == "accounts":
            accounts.append({**base, "name": f"{NAME}-{number}", "template": name})
        else:
            own = {"strat_id": f"{NAME}-{number}", "account": NAME, "symbol": "BTCUSDT"}
            strategies.append({**own, "template": name})
    return {"templates": templates, "accounts": accounts, "strategies": strategies}
