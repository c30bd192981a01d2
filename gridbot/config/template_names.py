"""The sections `defaults` and `templates` as layers: which of them an account or a strategy has. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from gridbot.config.errors import Loc, Problem
from gridbot.config.yaml_nodes import Document

__all__ = ["KINDS", "Kind", "Layer", "Templates"]

Kind = Literal["accounts", "strategies"]
KINDS: Final[tuple[Kind, ...]] = ("accounts", "strategies")


@dataclass(frozen=True, slots=True)
class Layer:
    """Values as the file has them, and where they stand in it."""

    place: Loc
    values: Any

    def without(self, *keys: str) -> Layer:
        """The layer without these keys."""
        return replace(self, values={key: value for key, value in self.values.items() if key not in keys})

    def inner(self, key: str) -> Layer:
        """What it has at a key."""
        return Layer((*self.place, key), self.values[key])


class Templates:
    """The defaults and templates of a file; `problems` hears what is wrong with them."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self._document = document
        self._problems = problems
        self._defaults = dict(self._sections("defaults"))
        self._named: dict[Kind, dict[str, Layer]] = {kind: {} for kind in KINDS}
        for kind, section in self._sections("templates"):
            for name in section.values:
                inner = section.inner(name)
                values = {} if inner.values is None else inner.values
                if isinstance(values, dict):
                    self._named[kind][name] = Layer(inner.place, values)
                else:
                    self._add(inner.place, "keys with values", "something else", "indent its keys below its name")
        accounts = [self._defaults[kind] for kind in KINDS[:1] if kind in self._defaults]
        for layer in (*accounts, *self._named["accounts"].values()):
            if "name" in layer.values:
                do = "remove it: each account has its own; {account} in a value stands for it"
                self._add((*layer.place, "name"), "no name here", "one", do)
        self._used: dict[tuple[Kind, str], None] = {}
        self._chains: dict[tuple[Kind, str], list[Layer]] = {}

    def layers(self, kind: Kind, *own: Layer) -> list[Layer]:
        """All layers of an entry, the weakest first, none with the key `template`. `own`: its own, likewise."""
        defaults = [self._defaults[kind]] if kind in self._defaults else []
        named = next((layer.inner("template") for layer in [*defaults, *own][::-1] if "template" in layer.values), None)
        used = [] if named is None else self._chain(kind, named, ())
        return [layer.without("template") for layer in (*defaults, *used, *own)]

    def unused(self) -> list[tuple[Kind, str]]:
        """The templates that nobody uses."""
        return [(kind, name) for kind in KINDS for name in self._named[kind] if (kind, name) not in self._used]

    def _chain(self, kind: Kind, named: Layer, trail: tuple[str, ...]) -> list[Layer]:
        """The templates that a key `template` names, each after those that it is made from."""
        value = named.values
        if value is None:
            return []
        names = value if isinstance(value, list) else [value]
        if not all(isinstance(name, str) and name for name in names):
            self._add(named.place, "the name of a template, or a list of names", "something else", "write its name")
            return []
        found: list[Layer] = []
        for name in names:
            if name in trail:
                circle = " -> ".join([*trail[trail.index(name) :], name])
                do = "remove one `template:` of the circle"
                self._add(named.place, "templates that do not lead back to themselves", circle, do)
            elif (template := self._named[kind].get(name)) is None:
                self._unknown(kind, name, named.place)
            else:
                self._used[kind, name] = None
                found += [layer for layer in self._from(kind, name, template, trail) if layer not in found]
        return found

    def _from(self, kind: Kind, name: str, template: Layer, trail: tuple[str, ...]) -> list[Layer]:
        """A template after those that it is made from; walked once, however many use it."""
        if (known := self._chains.get((kind, name))) is not None:
            return known
        below = self._chain(kind, template.inner("template"), (*trail, name)) if "template" in template.values else []
        return self._chains.setdefault((kind, name), [*below, template])

    def _unknown(self, kind: Kind, name: str, place: Loc) -> None:
        names = list(self._named[kind])
        what = f"the name of a template for {kind} ({', '.join(names) or 'there is none'})"
        other: Kind = "strategies" if kind == "accounts" else "accounts"
        if name in self._named[other]:
            do = f"name one of `templates.{kind}`, or move it there"
            self._add(place, what, f"`{name}`, a template for {other}", do)
            return
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
        do = f"did you mean `{near[0]}`?" if near else f"correct the name, or add it below `templates.{kind}`"
        self._add(place, what, f"`{name}`", do)

    def _sections(self, root: str) -> Iterator[tuple[Kind, Layer]]:
        data = self._document.data.get(root)
        if data is None:
            return
        if not isinstance(data, dict):
            self._add((root,), "`accounts:` and `strategies:`", "something else", "indent them below this key")
            return
        for key, value in data.items():
            place: Loc = (root, key)
            kind = next((kind for kind in KINDS if kind == key), None)
            if kind is None:
                do = f"put it below `{root}.accounts` or `{root}.strategies`"
                self._add(place, "accounts or strategies", f"`{key}`", do)
            elif isinstance(value, dict):
                yield kind, Layer(place, value)
            elif value is not None:
                what = "keys with values" if root == "defaults" else "templates by name"
                self._add(place, what, "something else", "indent them below this key")

    def _add(self, place: Loc, what: str, got: str, do: str) -> None:
        self._problems.append(Problem(place, what, got, do, self._document.line_of(place)))
