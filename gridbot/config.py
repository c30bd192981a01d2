"""Configuration: find the file, read it, and either give it back whole and checked or say everything that is wrong.

Paths: a relative `data_dir` (and a relative file of a replay) is meant from the project's root, the directory that
holds `conf/`; for a file that does not stand in a directory named `conf`, from the file's own directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from gridbot.config_checks import Parts, conflicts
from gridbot.config_errors import ConfigError, Problem, problems_of
from gridbot.config_ladder import ladder_problems
from gridbot.config_models import (
    AccountCaps,
    AccountConfig,
    Durability,
    GridbotConfig,
    Limit,
    LoggingConfig,
    OnStop,
    RestartConfig,
    StorageConfig,
    StrategyCaps,
    StrategyConfig,
    SupervisorConfig,
    with_environment,
)
from gridbot.config_yaml import Document, read_document
from gridbot.paper.config import PaperConfig

__all__ = [
    "AccountCaps",
    "AccountConfig",
    "ConfigError",
    "Durability",
    "GridbotConfig",
    "Limit",
    "LoggingConfig",
    "OnStop",
    "PaperConfig",
    "Problem",
    "RestartConfig",
    "StorageConfig",
    "StrategyCaps",
    "StrategyConfig",
    "SupervisorConfig",
    "account_snapshot",
    "find_config",
    "load_config",
    "project_root",
    "snapshot_sha256",
]

CONFIG_VARIABLE = "GRIDBOT_CONFIG_PATH"
DATA_DIR_VARIABLE = "GRIDBOT_DATA_DIR"


def find_config(option: str | Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Path:
    """The file to use: the option, else GRIDBOT_CONFIG_PATH, else conf/demo.yaml of this checkout or directory."""
    named = option or environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    checkout = Path(__file__).resolve().parent.parent / "conf" / "demo.yaml"
    return checkout if checkout.is_file() else Path.cwd() / "conf" / "demo.yaml"


def project_root(config_path: Path) -> Path:
    """The directory relative paths of the file are meant from."""
    home = config_path.resolve().parent
    return home.parent if home.name == "conf" else home


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
    file = Path(path)
    document = read_document(_text_of(file), environ)
    problems = list(document.problems)
    broken = {problem.loc for problem in problems}
    config: GridbotConfig | None = None
    if isinstance(document.data, dict):
        try:
            config = GridbotConfig.model_validate(document.data)
        except ValidationError as error:
            problems += problems_of(error, GridbotConfig, document.raw)
        parts = _parts(document.data)
        problems += conflicts(parts)
        problems += _ladders(document.data, parts)
        problems = [p for p in problems if p.line is not None or p.loc not in broken]
    elif not problems:
        got = "an empty file" if document.data is None else "something else"
        problems.append(Problem((), "keys with values", got, "start from conf/gridbot.yaml.example"))
    if problems or config is None:
        raise ConfigError(str(path), [_with_line(problem, document) for problem in problems])
    return _with_paths(config, project_root(file), data_dir or environ.get(DATA_DIR_VARIABLE) or None)


def account_snapshot(config: GridbotConfig, account: str) -> dict[str, Any]:
    """What one worker runs with, as JSON values without secrets: the record of the run. Raises KeyError.

    Where files lie and how logs are written is left out: it does not change what is traded.
    """
    exclude: dict[str, Any] = dict.fromkeys(("accounts", "strategies", "paper", "logging"), True)
    shared = config.model_dump(mode="json", exclude={**exclude, "storage": {"data_dir"}})
    mine = config.account(account).model_dump(mode="json", exclude={"api_key", "api_secret"})
    strategies = [strategy.model_dump(mode="json") for strategy in config.strategies_of(account)]
    snapshot = {**shared, "account": mine, "strategies": strategies}
    if config.account(account).environment == "paper":
        snapshot["paper"] = config.paper.model_dump(mode="json")
    return snapshot


def snapshot_sha256(snapshot: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the snapshot's canonical JSON: equal configurations, equal digests."""
    text = json.dumps(snapshot, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        problem = Problem((), "text in UTF-8", "other bytes", "save the file as UTF-8")
    except OSError as error:
        got = error.strerror or type(error).__name__
        problem = Problem((), "a readable configuration file", got, f"name one with -c or {CONFIG_VARIABLE}")
    raise ConfigError(str(file), [problem])


def _parts(data: Mapping[str, Any]) -> Parts:
    root = _resolved(data)
    parts = Parts(allow_mainnet=str(data.get("allow_mainnet")).lower() in ("true", "yes", "on", "1"))
    accounts, strategies = data.get("accounts"), data.get("strategies")
    for index, account in enumerate(accounts if isinstance(accounts, list) else []):
        if isinstance(account, dict):
            default = root.get("environment") or "testnet"
            parts.accounts[index] = {**account, "environment": _resolved(account).get("environment") or default}
    for index, strategy in enumerate(strategies if isinstance(strategies, list) else []):
        if isinstance(strategy, dict):
            parts.strategies[index] = strategy
    return parts


def _ladders(data: Mapping[str, Any], parts: Parts) -> list[Problem]:
    """Checked for each strategy that is valid by itself, whatever is wrong elsewhere."""
    environments = {str(account.get("name")): str(account["environment"]) for account in parts.accounts.values()}
    problems: list[Problem] = []
    with contextlib.suppress(ValidationError):
        paper = PaperConfig.model_validate(data.get("paper") or {})
        for index, raw in parts.strategies.items():
            with contextlib.suppress(ValidationError):
                strategy = StrategyConfig.model_validate(raw)
                environment = environments.get(strategy.account)
                problems += ladder_problems(("strategies", index), strategy, environment, paper)
    return problems


def _resolved(data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(with_environment(data))
    except PydanticCustomError:
        return {}  # a contradiction, which the models report


def _with_line(problem: Problem, document: Document) -> Problem:
    return problem if problem.line is not None else replace(problem, line=document.line_of(problem.loc))


def _with_paths(config: GridbotConfig, root: Path, data_dir: str | Path | None) -> GridbotConfig:
    home = Path(data_dir).expanduser().absolute() if data_dir else root / config.storage.data_dir.expanduser()
    market = config.paper.market
    files = {symbol: root / path.expanduser() for symbol, path in market.files.items()}
    paper = config.paper.model_copy(update={"market": market.model_copy(update={"files": files})})
    storage = config.storage.model_copy(update={"data_dir": Path(os.path.normpath(home))})
    return config.model_copy(update={"storage": storage, "paper": paper})
