"""The configuration that all hosts of a fleet share, as a text: what may stand in it, and what each host adds. Pure.

    shared (PostgreSQL, `fleet config push`)   accounts, strategies, defaults, templates, paper, caps and groups, ...
    of a host (its own file)                    fleet, storage, supervisor, logging, web, notify, telegram, its keys

A shared text has no secrets and no variables: a variable would have another value on each host.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridbot.command_line import pasteable
from gridbot.config.errors import ConfigError, Loc, Problem
from gridbot.config.variables import variables_in
from gridbot.config.yaml_nodes import Document, read_document

__all__ = ["OF_A_HOST", "SHARED_OF_FLEET", "Pushed", "host_problems", "pushed_text"]

OF_A_HOST: Final = ("storage", "supervisor", "logging", "web", "notify", "telegram")
"""The sections that are each host's own, beside `fleet`."""
SHARED_OF_FLEET: Final = ("caps", "groups")
"""The keys of `fleet` that all hosts share."""
OF_A_KEY: Final = ("api_key", "api_secret", "api_key_file", "api_secret_file", "keyring")
_DO_KEYS: Final = "remove it: each host says in `fleet.keys` of its own file where the keys of accounts are"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A text that may be shared; `left_out` are the sections of the file that are each host's own, with their lines."""

    text: str
    left_out: tuple[tuple[str, int], ...] = ()


def pushed_text(text: str, file: str) -> Pushed:
    """What of a file is shared. Raises ConfigError with every line that must not be in PostgreSQL."""
    document = read_document(text, {}, verbatim=tuple(_top(text)))
    problems = [*document.problems]
    if isinstance(document.data, dict):
        problems += _problems(document)
    elif not problems:
        problems.append(Problem((), "keys with values", "something else", "push a file with accounts and strategies"))
    if problems:
        raise ConfigError(file, _lined(problems, document))
    return _without(text, document, file)


def host_problems(document: Document) -> Iterator[Problem]:
    """What a host's own file has that all hosts share."""
    data = document.data if isinstance(document.data, dict) else {}
    do = f"remove it here; {pasteable('fleet config push FILE')} puts it into PostgreSQL for all hosts"
    for key in data:
        if key not in ("fleet", *OF_A_HOST):
            yield Problem((key,), "only `fleet:` and the sections of this host", f"`{key}`", do)
    fleet = data.get("fleet")
    for key in SHARED_OF_FLEET:
        if isinstance(fleet, dict) and key in fleet:
            yield Problem(("fleet", key), "no caps in the file of a host", f"`{key}`", do)


def _problems(document: Document) -> Iterator[Problem]:
    fleet = document.data.get("fleet")
    for key in fleet if isinstance(fleet, dict) else ():
        if key not in SHARED_OF_FLEET:
            do = "remove it: it belongs to the file of each host"
            yield Problem(("fleet", key), "caps and groups only, in what all hosts share", f"`{key}`", do)
    for place in document.lines:
        if place and place[-1] in OF_A_KEY and _is_of_account(place):
            got = "a file of this machine" if str(place[-1]).endswith("_file") else f"`{place[-1]}`"
            yield Problem(place, "no keys and no secrets of accounts in PostgreSQL", got, _DO_KEYS)
    for place, raw in document.raw.items():
        if place[0] not in OF_A_HOST and variables_in(raw) and place[-1] not in OF_A_KEY:
            what = "values without variables, which would have another value on each host"
            yield Problem(place, what, "a variable", "write the value itself")


def _is_of_account(place: Loc) -> bool:
    match place:
        case ("accounts", _, _) | ("defaults", "accounts", _) | ("templates", "accounts", _, _):
            return True
    return False


def _lined(problems: list[Problem], document: Document) -> Iterator[Problem]:
    for each in problems:
        line = each.line if each.line is not None else document.line_of(each.loc)
        yield Problem(each.loc, each.expected, each.got, each.do, line)


def _top(text: str) -> Iterator[str]:
    """The sections of the root, as far as they can be read."""
    data = read_document(text, {}, verbatim=()).data
    yield from map(str, data) if isinstance(data, dict) else ()


def _without(text: str, document: Document, file: str) -> Pushed:
    """The text without the sections of a host: whole lines from their key to the next key of the root."""
    data: Mapping[str, Any] = document.data
    starts = {key: document.lines[(key,)] for key in data if (key,) in document.lines}
    left = [(key, starts[key]) for key in OF_A_HOST if key in starts]
    if not left:
        return Pushed(text)
    ordered = sorted(starts.values())
    if len(set(ordered)) != len(ordered):
        do = "put each section of the root on lines of its own, or remove it"
        what = "a section of this host on lines of its own"
        raise ConfigError(file, [Problem((key,), what, "others on its line", do, line) for key, line in left])
    lines = text.splitlines(keepends=True)
    for _, line in left:
        end = next((other for other in ordered if other > line), len(lines) + 1)
        lines[line - 1 : end - 1] = ["\n"] * (end - line)  # the lines behind keep their numbers
    return Pushed("".join(lines), tuple(sorted(left, key=lambda each: each[1])))
