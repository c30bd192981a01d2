"""The values that a configuration has in force, each with where it comes from. Pure; secrets are left out.

A source is a line of the file (own key, template, defaults), the command line, the environment, or what is built in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from gridbot.config.account_models import SECRET_KEYS
from gridbot.config.errors import Loc
from gridbot.config.keyring_accounts import asks_keyring
from gridbot.config.layers import LAYERED
from gridbot.config.loading import LoadedFile
from gridbot.config.variables import variable_origin, variables_in
from gridbot.doors.plain_text import one_line

__all__ = ["BUILT_IN", "Sourced", "account_values", "hidden", "leaves", "root_values", "strategy_values"]

BUILT_IN: Final = "built-in default"
SHORTEST_SECRET: Final = 4
"""Characters of a secret that is looked for in other values: a shorter one is in every word."""
ALIAS: Final = {"environment": "testnet"}
DERIVED: Final = (("strat_id",), ("account",))
"""Keys that a strategy below an account has from there."""
HIDDEN: Final = "hidden: it has a secret in it"


@dataclass(frozen=True, slots=True)
class Sourced:
    """A value in force: its key below its section (`caps.max_notional`), as JSON has it, and where it comes from.

    `kind`: own, template, defaults, root, override or built-in. `line` counts from 1, None for what no line says.
    `origins`: of the variables in it. A secret is "set" or "not set".
    """

    key: str
    value: Any
    kind: str
    source: str
    line: int | None = None
    origins: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        found = {"key": self.key, "value": self.value, "kind": self.kind, "source": self.source, "line": self.line}
        return {**found, "variables": list(self.origins)}


def root_values(file: LoadedFile, environ: Mapping[str, str], data_dir: str | None = None) -> Iterator[Sourced]:
    """Of all sections but accounts and strategies. `data_dir`: what overrides the file's own, in words."""
    named = {"accounts", "strategies"}
    model = file.config.model_dump(mode="json", exclude=named)
    for place, value in leaves(model):
        if place == ("storage", "data_dir") and data_dir is not None:
            yield Sourced(_key(place), value, "override", data_dir)
        else:
            yield _sourced(file, (), place, value, environ)


def account_values(file: LoadedFile, name: str, environ: Mapping[str, str]) -> Iterator[Sourced]:
    """Of one account. Raises StopIteration when there is none of that name."""
    index = next(i for i, account in enumerate(file.config.accounts) if account.name == name)
    yield from _values(file, ("accounts", index), file.config.accounts[index], environ)


def strategy_values(file: LoadedFile, strat_id: str, environ: Mapping[str, str]) -> Iterator[Sourced]:
    """Of one strategy. Raises StopIteration when there is none of that name."""
    index = next(i for i, strategy in enumerate(file.config.strategies) if strategy.strat_id == strat_id)
    yield from _values(file, ("strategies", index), file.config.strategies[index], environ)


def _values(file: LoadedFile, section: Loc, model: BaseModel, environ: Mapping[str, str]) -> Iterator[Sourced]:
    for place, value in leaves(model.model_dump(mode="json")):
        yield _sourced(file, section, place, value, environ)


def leaves(values: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value that is no mapping, with its keys."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*place, key))
        else:
            yield (*place, key), value


def hidden(file: LoadedFile, place: tuple[str, ...], value: Any) -> Any:
    """The value as it may be shown."""
    if place[-1:] and place[-1] in SECRET_KEYS:
        return "set" if value else "not set"
    secrets = [secret for secret in file.config.secrets() if len(secret) >= SHORTEST_SECRET]
    return HIDDEN if any(secret in str(value) for secret in secrets) else value


def _sourced(file: LoadedFile, section: Loc, place: tuple[str, ...], value: Any, environ: Mapping[str, str]) -> Sourced:
    shown, key = hidden(file, place, value), _key(place)
    document, written = file.written.document, file.written
    for loc in ((*section, *place), (*section, *place[:-1], ALIAS.get(place[-1], place[-1]))):
        if not _is_there(document.data, loc):
            continue
        at, text = written.written(loc), written.filled.get(loc, document.raw.get(loc, ""))
        line = document.line_of(at)
        if section[:1] == ("strategies",) and place in DERIVED and loc not in document.raw:
            return Sourced(key, shown, "own", "the account that it stands below", line)
        origins = [variable_origin(name, environ) for name in variables_in(text)]
        return Sourced(key, shown, *_named(at), line, tuple(origins))
    if (
        section[:1] == ("accounts",)
        and place[-1] in SECRET_KEYS
        and _is_there(document.data, named := _beside(section, place))
    ):
        at = written.written(named)
        origin = f"the file {one_line(str(_value(document.data, named)))} that {named[-1]} names"
        return Sourced(key, shown, *_named(at), document.line_of(at), (origin,))
    if section[:1] == ("accounts",) and place[-1] in SECRET_KEYS and _from_keyring(file, section):
        at = written.written((*section, "keyring"))
        return Sourced(key, shown, *_named(at), document.line_of(at), ("the system keyring",))
    if section[:1] == ("accounts",) and place == ("environment",):
        for name in ("environment", "testnet"):
            if name in document.data:
                return Sourced(key, shown, "root", f"`{name}` of the whole file", document.line_of((name,)))
    return Sourced(key, shown if place[-1] not in SECRET_KEYS else "not set", "built-in", BUILT_IN)


def _named(at: Loc) -> tuple[str, str]:
    """What kind of source a place of the file is, and what it is called."""
    if at[0] not in LAYERED:
        return "own", ""
    return ("defaults", "defaults") if at[0] == "defaults" else ("template", f"template {at[2]}")


def _beside(section: Loc, place: tuple[str, ...]) -> Loc:
    """Where a key would name the file that has this value."""
    return (*section, *place[:-1], f"{place[-1]}_file")


def _from_keyring(file: LoadedFile, section: Loc) -> bool:
    """Whether an account's key and secret are those of the system keyring."""
    return _is_there(file.written.document.data, (*section, "keyring")) and asks_keyring(
        _value(file.config.model_dump(mode="json"), section)
    )


def _value(data: Any, loc: Loc) -> Any:
    for part in loc:
        data = data[part]
    return data


def _key(place: tuple[str, ...]) -> str:
    return ".".join(place)


def _is_there(data: Any, loc: Loc) -> bool:
    for part in loc:
        known = range(len(data)) if isinstance(data, list) else data if isinstance(data, dict) else ()
        if part not in known:
            return False
        data = data[part]
    return True
