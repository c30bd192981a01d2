"""What a host of a fleet runs with: the configuration that all hosts share, and its own file's sections and keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gridbot.config.fleet_document import OF_A_HOST, SHARED_OF_FLEET
from gridbot.config.host_keys import FoundKeys, found_keys
from gridbot.config.loading import load_text
from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import with_paper_secrets
from gridbot.config.paths import project_root
from gridbot.config.variables import value_of_file
from gridbot.exchange.environment import Environment

__all__ = ["FleetSettings", "checked_shared", "fleet_settings", "held_by"]

_ABSENT: Final = "absent"
"""Begins what stands for the key of an account that this host does not have: such an account never runs here."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """The configuration of the whole fleet as one host sees it, and which accounts it may have.

    `config` has all accounts. `not_offered` says why, of each account whose keys this host does not have.
    """

    version: int
    config: GridbotConfig = field(repr=False)
    offers: frozenset[str] = frozenset()
    not_offered: Mapping[str, str] = field(default_factory=dict)


def checked_shared(text: str, named: str) -> GridbotConfig:
    """A text that all hosts are to share, checked as far as any of them can. Raises ConfigError with its lines."""
    return load_text(
        text, Path.cwd() / "gridbot.yaml", environ={}, named=named, add=lambda data: _keyed(data, FoundKeys())
    ).config


def fleet_settings(
    text: str, version: int, host: GridbotConfig, file: Path, environ: Mapping[str, str]
) -> FleetSettings:
    """What the host whose own file is `file` makes of the shared text. Raises ConfigError, which names the version."""
    keys = FoundKeys()

    def add(data: dict[str, Any]) -> dict[str, Any]:
        nonlocal keys
        named = [str(each.get("name")) for each in _accounts(data) if each.get("environment") != Environment.PAPER]
        keys = found_keys(host.fleet, named, project_root(file), environ)
        return _keyed(data, keys)

    place = host.storage.data_dir
    loaded = load_text(
        text, file, environ={}, data_dir=place, named=f"version {version} of the fleet's configuration", add=add
    ).config
    shared = {key: getattr(loaded.fleet, key) for key in SHARED_OF_FLEET}
    own: dict[str, Any] = {key: getattr(host, key) for key in OF_A_HOST}
    config = loaded.model_copy(update={**own, "fleet": host.fleet.model_copy(update=shared)})
    config, no_paper = _on_paper(config, host)
    missing = {**keys.missing, **no_paper}
    offers = frozenset(account.name for account in config.accounts if account.name not in missing)
    return FleetSettings(version, config, offers, missing)


def held_by(settings: FleetSettings, accounts: Collection[str]) -> GridbotConfig:
    """The configuration with these accounts alone, their strategies, and the caps of the whole fleet."""
    config = settings.config
    values = {name: getattr(config, name) for name in GridbotConfig.model_fields}
    return GridbotConfig.model_construct(
        **{
            **values,
            "accounts": tuple(each for each in config.accounts if each.name in accounts),
            "strategies": tuple(each for each in config.strategies if each.account in accounts),
        }
    )


def _on_paper(config: GridbotConfig, host: GridbotConfig) -> tuple[GridbotConfig, dict[str, str]]:
    """With the secrets of paper accounts; why this host cannot have them."""
    names = [account.name for account in config.accounts if account.environment is Environment.PAPER]
    if not names:
        return config, {}
    if not host.fleet.paper_url:
        return config, dict.fromkeys(names, "it is on paper, and fleet.paper_url of this host names no paper exchange")
    if host.fleet.paper_seed_file is None:
        return config, dict.fromkeys(names, "it is on paper, and this host has no fleet.paper_seed_file")
    value, why = value_of_file(str(host.fleet.paper_seed_file))
    try:
        return with_paper_secrets(config, bytes.fromhex(value)), {} if value else dict.fromkeys(names, why)
    except ValueError:
        return config, dict.fromkeys(names, "fleet.paper_seed_file of this host has no seed")


def _accounts(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    accounts = data.get("accounts")
    return [each for each in accounts if isinstance(each, dict)] if isinstance(accounts, list) else []


def _keyed(data: dict[str, Any], keys: FoundKeys) -> dict[str, Any]:
    def keyed(index: int, account: Any) -> Any:
        if not isinstance(account, dict) or account.get("environment") == Environment.PAPER:
            return account
        name = str(account.get("name"))
        key, secret = keys.keys.get(name, (f"{_ABSENT}-{index}", f"{_ABSENT}-{index}"))
        return {**account, "api_key": key, "api_secret": secret}

    accounts = data.get("accounts")
    return {**data, "accounts": [keyed(*each) for each in enumerate(accounts)]} if isinstance(accounts, list) else data
