"""`defaults` and `templates` of the configuration file, written out: pure, between the YAML nodes and the models.

Of an account, the weakest first: `defaults.accounts`, its templates, its own keys. Of a strategy:
`defaults.strategies`, its templates, its own keys; those of one that stands below an account are the keys of the
account's layers. Mappings merge key by key; all else (lists, values, null) replaces. What was written out remembers
where it stands in the file.
docs/templates.md has the rules for users.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gridbot.config.errors import Loc, Problem
from gridbot.config.template_names import Kind, Layer, Templates
from gridbot.config.variables import Fault, with_variables
from gridbot.config.yaml_nodes import Document, variable_problem

__all__ = ["LAYERED", "Expansion", "expanded", "layer_warnings"]

LAYERED: Final = ("defaults", "templates")
"""The sections whose values are used elsewhere; variables in them have their value where they are used."""
MOST_VALUES: Final = 400_000
"""Values that writing out may make: 5,000 accounts of 80 keys."""
SHOWN: Final = 3
"""Users of a template that a problem names."""
ENVIRONMENT: Final = frozenset({"environment", "testnet"})
"""Two spellings of one key."""
_NO_NAME = re.compile(r"[^A-Za-z0-9_]")
_PLACEHOLDER = re.compile(r"\{(account|ACCOUNT)\}")


@dataclass(slots=True)
class Expansion:
    """A file with its defaults and templates written out.

    `document` has neither section; strategies that stand below an account follow those of the root. `origin`: of places
    that were written out, where they stand in the file. `broken`: places whose problem is told already.
    """

    document: Document
    origin: dict[Loc, Loc] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: dict[Loc, None] = field(default_factory=dict)
    below: dict[int, Loc] = field(default_factory=dict)
    """Of strategies that stand below an account: by their index, how the file would name their place there."""
    unused: list[tuple[Kind, str]] = field(default_factory=list)

    unset: dict[Loc, None] = field(default_factory=dict)
    """Places of the file with a variable that has no value for some of those who use them: `broken` says for whom."""
    filled: dict[Loc, str] = field(default_factory=dict)
    """Texts with `{account}` filled in, their variables still as they are written."""

    def written(self, loc: Loc) -> Loc:
        """Where that place stands in the file."""
        for end in range(len(loc), 0, -1):
            if (place := self.origin.get(loc[:end])) is not None:
                return (*place, *loc[end:])
        return loc

    def line_of(self, loc: Loc) -> int | None:
        """The line of the value at `loc`, or of the nearest thing around it."""
        return self.document.line_of(self.written(loc))

    def label(self, section: str, index: int) -> str:
        """How the file names an entry: `strategies[2]`, or `accounts[7].strategies.btc`."""
        place = self.below.get(index) if section == "strategies" else None
        return Problem(place or (section, index), "", "", "").key

    def told(self, problems: list[Problem]) -> Iterator[Problem]:
        """The problems as the file has their places, each once; those of a template say who uses it."""
        users: dict[Problem, list[str]] = {}
        for problem in problems:
            place = self.written(problem.loc)
            line = problem.line if problem.line is not None else self.document.line_of(place)
            shared = Problem(place, problem.expected, problem.got, problem.do, line)
            mine = users.setdefault(shared, [])
            if place[:1] and place[0] in LAYERED and problem.loc != place:
                mine.append(self._user(problem.loc))
        for problem, names in users.items():
            yield Problem(problem.loc, problem.expected, problem.got, problem.do + _used_by(names), problem.line)

    def _user(self, loc: Loc) -> str:
        entry = self.document.data[loc[0]][loc[1]]
        return f"{entry.get('account')}/{entry.get('strat_id')}" if loc[0] == "strategies" else str(entry.get("name"))


def layer_warnings(expansion: Expansion) -> Iterator[str]:
    """One sentence for each template that nobody uses."""
    for kind, name in expansion.unused:
        line = expansion.document.line_of(("templates", kind, name))
        yield f"template {name} (line {line}): no entry of `{kind}` uses it"


def expanded(document: Document, environ: Mapping[str, str]) -> Expansion:
    """The document with its layers written out; itself, unchanged, when there are none.

    `document` is read with the variables of `LAYERED` as they are written; problems of reading stay its own.
    """
    data = document.data
    if not isinstance(data, dict) or not _layered(data):
        return Expansion(document)
    return _Writer(document, environ).all()


def _layered(data: dict[str, Any]) -> bool:
    sections = [data.get(section) for section in ("accounts", "strategies")]
    entries = [entry for section in sections if isinstance(section, list) for entry in section]
    named = any(isinstance(entry, dict) and entry.keys() & {"template", "strategies"} for entry in entries)
    return named or any(section in data for section in LAYERED)


class _Writer:
    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._read = document
        self._environ = environ
        data = {key: value for key, value in document.data.items() if key not in LAYERED}
        self._made = Expansion(Document(data, dict(document.raw), document.lines, document.problems))
        self._templates = Templates(document, self._made.problems)
        self._account = ""
        """For whom it is written out at the moment."""
        self._faults: dict[tuple[Loc, str], list[tuple[Fault, Loc]]] = {}
        self._values = 0

    def all(self) -> Expansion:
        data, made = self._made.document.data, self._made
        try:
            self._sections(data)
        except _TooMuch as error:
            what = f"defaults and templates that write out at most {MOST_VALUES:,} values"
            made.problems[:] = [self._problem(error.place[:3], what, "more", "make them smaller, or use several files")]
            made.document.data = None
            return made
        for (place, got), faults in self._faults.items():
            made.unset[place] = None
            made.problems.append(self._without_value(place, got, faults))
        made.problems[:] = made.told(made.problems)
        made.unused = self._templates.unused()
        return made

    def _sections(self, data: dict[str, Any]) -> None:
        accounts, strategies = data.get("accounts"), data.get("strategies")
        if isinstance(strategies, list):
            data["strategies"] = [
                self._strategy(index, entry) if isinstance(entry, dict) else entry
                for index, entry in enumerate(strategies)
            ]
        if isinstance(accounts, list):
            below: list[tuple[Loc, str, list[Layer]]] = []
            data["accounts"] = [
                self._one_account(index, entry, below) if isinstance(entry, dict) else entry
                for index, entry in enumerate(accounts)
            ]
            if below and (strategies is None or isinstance(strategies, list)):
                made = data["strategies"] = list(data.get("strategies") or ())
                for place, account, layers in below:
                    made.append(self._below(place, account, layers, len(made)))

    def _one_account(
        self, index: int, entry: dict[str, Any], below: list[tuple[Loc, str, list[Layer]]]
    ) -> dict[str, Any]:
        """The account; its strategies go to `below`, each with its place, its account and its layers."""
        place: Loc = ("accounts", index)
        self._account = name = entry["name"] if isinstance(entry.get("name"), str) else ""
        layers = _one_environment(self._templates.layers("accounts", Layer(place, entry)))
        made = self._merged(place, [layer.without("strategies") for layer in layers])
        nested = [layer.inner("strategies") for layer in layers if "strategies" in layer.values]
        for each in nested:
            if each.values is None:
                continue
            if not isinstance(each.values, dict):
                what, do = "strategies by name, such as `btc: {symbol: BTCUSDT}`", "indent them below this key"
                self._made.problems.append(self._problem(each.place, what, "something else", do))
        run = _last_mappings(nested)
        names = dict.fromkeys(key for layer in run for key in layer.values) if name else {}
        for key in names:
            found = [layer.inner(key) for layer in run if key in layer.values]
            if found[-1].values is None:
                continue  # `btc: null`: without this one
            if not isinstance(found[-1].values, dict):
                what = "the keys of a strategy"
                do = "write them indented below this line, or null for an account without it"
                self._made.problems.append(self._problem(found[-1].place, what, "something else", do))
                continue
            below.append(((*place, "strategies", key), name, _last_mappings(found)))
        return made

    def _below(self, place: Loc, account: str, own: list[Layer], index: int) -> dict[str, Any]:
        """A strategy that stands below an account."""
        target: Loc = ("strategies", index)
        self._account = account
        self._made.below[index] = place
        for layer in own:
            if "account" in layer.values:
                do = "remove it: the strategy belongs to the account that it stands below"
                self._made.problems.append(self._problem((*layer.place, "account"), "no account here", "one", do))
        layers = self._templates.layers("strategies", *own)
        made = self._merged(target, [layer.without("account") for layer in layers])
        origin = self._made.origin
        origin[target] = own[-1].place
        for key, value in (("account", account), ("strat_id", f"{account}-{place[-1]}")):
            if key not in made:
                made = {key: value, **made}
                origin[(*target, key)] = (*place, key)
        return made

    def _strategy(self, index: int, entry: dict[str, Any]) -> dict[str, Any]:
        place: Loc = ("strategies", index)
        layers = self._templates.layers("strategies", Layer(place, entry))
        self._account = next((str(each.values["account"]) for each in layers[::-1] if each.values.get("account")), "")
        return self._merged(place, layers)

    def _merged(self, target: Loc, layers: list[Layer]) -> dict[str, Any]:
        """The layers, the weakest first, as one mapping, which is to stand at `target`."""
        made: dict[str, Any] = {}
        for key in dict.fromkeys(key for layer in layers for key in layer.values):
            having = [layer.inner(key) for layer in layers if key in layer.values]
            place, value = (*target, key), having[-1].values
            self._came_from(place, having[-1].place)
            inner = _last_mappings(having)
            made[key] = self._merged(place, inner) if inner else self._taken(place, having[-1].place, value)
        return made

    def _came_from(self, target: Loc, place: Loc) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise _TooMuch(place)
        if target != place:
            self._made.origin[target] = place

    def _taken(self, target: Loc, place: Loc, value: Any) -> Any:
        """A value of the file as it is at `target`, with its variables."""
        if (raw := self._read.raw.get(place)) is not None:
            self._made.document.raw[target] = raw
        if isinstance(value, list):
            items = enumerate(value)
            return [self._inner(target, place, index, item) for index, item in items]
        if isinstance(value, dict):
            return {key: self._inner(target, place, key, item) for key, item in value.items()}
        if not isinstance(value, str) or place[0] not in LAYERED:
            return value
        text = self._made.filled[target] = _PLACEHOLDER.sub(self._name, value)
        return with_variables(text, self._environ, lambda fault: self._fault(fault, target, place))

    def _inner(self, target: Loc, place: Loc, key: str | int, value: Any) -> Any:
        self._came_from((*target, key), (*place, key))
        return self._taken((*target, key), (*place, key), value)

    def _name(self, match: re.Match[str]) -> str:
        return self._account if match[1] == "account" else _NO_NAME.sub("_", self._account).upper()

    def _fault(self, fault: Fault, target: Loc, place: Loc) -> None:
        self._made.broken[target] = None
        self._faults.setdefault((place, fault.got), []).append((fault, target))

    def _without_value(self, place: Loc, got: str, faults: list[tuple[Fault, Loc]]) -> Problem:
        """One problem for a place of the file, however many variables without a value it became."""
        names = list(dict.fromkeys(fault.name for fault, _ in faults))
        users = [self._made._user(target) for _, target in faults]
        problem = variable_problem(faults[0][0], place, self._read.line_of(place))
        what, do = problem.expected, problem.do
        if len(names) > 1:
            what = f"a value in each of the environment variables {_several([str(name) for name in names])}"
            do = f"set them before starting: export {names[0]}=... and so on (or {names[0]}_FILE=/path/of/a/file)"
        return Problem(place, what, problem.got, do + _used_by(users), problem.line)

    def _problem(self, place: Loc, what: str, got: str, do: str) -> Problem:
        return Problem(place, what, got, do, self._read.line_of(place))


class _TooMuch(Exception):
    def __init__(self, place: Loc) -> None:
        super().__init__(place)
        self.place = place


def _last_mappings(layers: list[Layer]) -> list[Layer]:
    """The mappings above the last layer that is none: what merges key by key."""
    found: list[Layer] = []
    for layer in reversed(layers):
        if not isinstance(layer.values, dict):
            break
        found.append(layer)
    return found[::-1]


def _one_environment(layers: list[Layer]) -> list[Layer]:
    """The layers without an `environment` that a stronger one names by its other spelling."""
    found, known = [], False
    for layer in reversed(layers):
        found.append(layer.without(*ENVIRONMENT) if known else layer)
        known = known or bool(ENVIRONMENT & layer.values.keys())
    return found[::-1]


def _used_by(users: list[str]) -> str:
    return f" (used by {_several(list(dict.fromkeys(users)))})" if users else ""


def _several(names: list[str]) -> str:
    if len(names) > SHOWN + 1:
        return f"{', '.join(names[:SHOWN])} and {len(names) - SHOWN} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
