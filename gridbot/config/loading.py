"""Reads the configuration file and returns it whole and checked, or raises an error with everything that is wrong.

Paths: a relative `data_dir`, and what is read (files of a replay, `instruments_from`), starts from the project's root,
the directory that holds `conf/`; for a file outside a directory named `conf`, from the file's own directory. What
gridbot writes besides (`paper.state_file`) starts from the data directory.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from gridbot.config.account_models import AccountConfig, with_environment
from gridbot.config.checks import Parts, conflicts
from gridbot.config.dsn_files import with_dsn
from gridbot.config.errors import ConfigError, Loc, Problem
from gridbot.config.fleet_document import host_problems
from gridbot.config.key_files import with_key_files
from gridbot.config.keyring_accounts import with_keyring
from gridbot.config.ladder_problems import ladder_problems
from gridbot.config.layer_problems import layer_problems
from gridbot.config.layers import LAYERED, Expansion, expanded
from gridbot.config.models import GridbotConfig
from gridbot.config.named_paths import path_problems, with_paths
from gridbot.config.paths import DATA_DIR_VARIABLE, project_root, text_of
from gridbot.config.strategy_kinds import strategy_config
from gridbot.config.validation_problems import problems_of
from gridbot.config.variable_values import without_values
from gridbot.config.yaml_nodes import read_document
from gridbot.exchange.environment import Environment
from gridbot.paper.settings import PaperConfig

__all__ = ["HostFile", "LoadedFile", "load_config", "load_file", "load_text"]

OF_ENVIRONMENT = frozenset(
    {"environment", "api_key", "api_secret", "api_key_file", "api_secret_file", "keyring", "balance"}
)
"""Keys of an account whose meaning depends on its environment."""


def load_config(
    path: str | Path,
    *,
    environ: Mapping[str, str] = os.environ,
    data_dir: str | Path | None = None,
) -> GridbotConfig:
    """Read, expand and check the file at `path`.

    `storage.data_dir` of the result is absolute: `data_dir` (the command line), else GRIDBOT_DATA_DIR, both relative to
    the working directory, else the file's own. Raises ConfigError with every problem of the file.
    """
    return load_file(path, environ=environ, data_dir=data_dir).config


class HostFile(GridbotConfig):
    """The file of a host of a fleet: its accounts and strategies are in PostgreSQL."""

    accounts: tuple[AccountConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """A configuration, and where its values stand in its file."""

    config: GridbotConfig
    written: Expansion


def load_file(
    path: str | Path,
    *,
    environ: Mapping[str, str] = os.environ,
    data_dir: str | Path | None = None,
) -> LoadedFile:
    """As `load_config`, with the places that the values come from."""
    return load_text(text_of(Path(path)), path, environ=environ, data_dir=data_dir)


def load_text(
    text: str,
    path: str | Path,
    *,
    environ: Mapping[str, str],
    data_dir: str | Path | None = None,
    named: str = "",
    add: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
) -> LoadedFile:
    """The same of a text that is, or is to be, in the file at `path`, which errors call `named`.

    `add` puts more into the raw data before it is checked: what a host of a fleet adds to what all hosts share.
    """
    file = Path(path)
    read = read_document(text, environ, verbatim=LAYERED)
    expansion = expanded(read, environ)
    document = expansion.document
    problems = [*document.problems, *expansion.problems]
    broken = {problem.loc for problem in problems}.difference(expansion.unset)
    config: GridbotConfig | None = None
    if isinstance(document.data, dict):
        data, contradictions, unsaid = _with_environments(document.data)
        written = data if add is None else add(data)
        data, unread = with_key_files(written, project_root(file))
        data, not_kept = with_keyring(data, file, environ, written)
        data, no_database = with_dsn(data, project_root(file))
        is_host = add is None and _is_host(data)
        if is_host:
            problems += host_problems(document)
        try:
            config = (HostFile if is_host else GridbotConfig).model_validate(data)
        except ValidationError as error:
            problems += problems_of(error, GridbotConfig, document.raw)
        parts = _parts(data, expansion)
        problems += [
            *contradictions,
            *unread,
            *not_kept,
            *no_database,
            *conflicts(parts),
            *path_problems(data, document.raw),
            *_ladders(data, parts),
        ]
        told = {expansion.written(problem.loc) for problem in problems}
        problems += [problem for problem in layer_problems(read, expansion.unused) if problem.loc not in told]
        broken = {*expansion.broken, *(problem.loc for problem in problems if expansion.written(problem.loc) in broken)}
        # a list is not too short for an entry that could not be read
        broken |= {place[:-1] for place in broken if place and isinstance(place[-1], int)}
        problems = [p for p in problems if (p.line is not None or p.loc not in broken) and not _follows(p, unsaid)]
    elif not problems:
        got = "an empty file" if document.data is None else "something else"
        problems.append(Problem((), "keys with values", got, "start from conf/gridbot.yaml.example"))
    if problems or config is None:
        raise ConfigError(named or str(path), without_values(expansion.told(problems), read, expansion.filled, environ))
    placed = with_paths(config, project_root(file), data_dir or environ.get(DATA_DIR_VARIABLE) or None)
    return LoadedFile(placed, expansion)


def _is_host(data: Mapping[str, Any]) -> bool:
    fleet = data.get("fleet")
    return isinstance(fleet, dict) and bool(fleet.get("host"))


def _follows(problem: Problem, unsaid: Collection[int]) -> bool:
    """Whether a problem of an account only says again that the environment of the whole file is not known."""
    match problem.loc:
        case ("accounts", int(index), str(key)):
            return index in unsaid and key in OF_ENVIRONMENT
    return False


def _with_environments(data: dict[str, Any]) -> tuple[dict[str, Any], list[Problem], set[int]]:
    """`testnet` as `environment`, at the root and in each account, and every account's environment spelled out.

    Last: which accounts take theirs from the root although that is none.
    """
    problems: list[Problem] = []

    def resolved(entry: dict[str, Any], loc: Loc) -> dict[str, Any]:
        try:
            return dict(with_environment(entry))
        except PydanticCustomError as error:
            context = error.context or {}
            key = str(context["key"])
            got = str(context["got"]) or f"`{entry[key]}`"
            problems.append(Problem((*loc, key), str(context["what"]), got, str(context["do"])))
            return {key: value for key, value in entry.items() if key != "testnet"}

    root, unsaid = resolved(data, ()), set[int]()
    if isinstance(accounts := root.get("accounts"), list):
        default = root.get("environment") or Environment.TESTNET.value
        entries = [
            resolved(account, ("accounts", index)) if isinstance(account, dict) else account
            for index, account in enumerate(accounts)
        ]
        if default not in list(Environment):
            unsaid = {i for i, entry in enumerate(entries) if isinstance(entry, dict) and "environment" not in entry}
        root["accounts"] = [
            {"environment": default, **entry} if isinstance(entry, dict) else entry for entry in entries
        ]
    return root, problems, unsaid


def _parts(data: Mapping[str, Any], expansion: Expansion) -> Parts:
    def entries(section: str) -> dict[int, Mapping[str, Any]]:
        values = data.get(section)
        return (
            {i: entry for i, entry in enumerate(values) if isinstance(entry, dict)} if isinstance(values, list) else {}
        )

    allowed = str(data.get("allow_mainnet")).lower() in ("true", "yes", "on", "1")
    fleet = data.get("fleet")
    groups = fleet.get("groups") if isinstance(fleet, dict) else None
    capped = tuple(map(str, groups)) if isinstance(groups, dict) else ()
    return Parts(entries("accounts"), entries("strategies"), allowed, capped, expansion.label)


def _ladders(data: Mapping[str, Any], parts: Parts) -> list[Problem]:
    """Checked for each strategy that is valid by itself, whatever is wrong elsewhere."""
    environments = {str(account.get("name")): str(account["environment"]) for account in parts.accounts.values()}
    problems: list[Problem] = []
    with contextlib.suppress(ValidationError):
        paper = PaperConfig.model_validate(data.get("paper") or {})
        for index, raw in parts.strategies.items():
            with contextlib.suppress(ValidationError, PydanticCustomError):
                strategy = strategy_config(raw)
                environment = environments.get(strategy.account)
                problems += ladder_problems(("strategies", index), strategy, environment, paper)
    return problems
