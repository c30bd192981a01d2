"""Which accounts, strategies and groups there are: of the running supervisor, or as the configuration names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gridbot.commands.targets import FleetMember, fleet_of
from gridbot.config.paths import find_config, text_of
from supervisor.cli.patient_client import PatientClient
from supervisor.control.control_client import ControlError, NotRunning
from supervisor.status.fleet_text import whose

__all__ = ["accounts_elsewhere", "configured_fleet", "known_fleet", "says_keyring"]


def known_fleet(place: Path, config: str | None) -> tuple[FleetMember, ...]:
    """The fleet of the supervisor that runs in `place`; when none runs, that of the configuration file.

    Raises ControlError when a supervisor is there and does not answer, ConfigError for a file that cannot be read.
    """
    try:
        with PatientClient(place) as client:
            return fleet_of(client.status())
    except NotRunning:
        return configured_fleet(find_config(config), os.environ)


def accounts_elsewhere(place: Path) -> tuple[dict[str, str], bool]:
    """The accounts that other hosts of a fleet have, or none, each with who has it; True: the supervisor there says so.

    When none runs, those that this host has had: another one may have them by now.
    """
    try:
        with PatientClient(place) as client:
            rows = client.status().get("elsewhere", ())
    except (ControlError, OSError):
        held = (place / "state").glob("*/holder.json")
        return {
            each.parent.name: "no supervisor runs here, and another host may have it by now" for each in held
        }, False
    return {str(row["account"]): whose(row) for row in rows}, True


def configured_fleet(path: Path, environ: Mapping[str, str]) -> tuple[FleetMember, ...]:
    """The names in a configuration file, whatever else is wrong with it: nothing of it is checked. Raises ConfigError.

    Quick, and needs no secrets: the Tab key asks for it.
    """
    data = _written(path, environ)
    accounts, strategies = _entries(data, "accounts"), _entries(data, "strategies")
    return tuple(
        FleetMember(
            account["name"],
            tuple(each["strat_id"] for each in strategies if each.get("account") == account["name"] and _id(each)),
            tuple(label for label in _list(account.get("groups")) if isinstance(label, str)),
        )
        for account in accounts
        if isinstance(account.get("name"), str)
    )


def says_keyring(path: Path, environ: Mapping[str, str], account: str) -> bool:
    """Whether the configuration file has `keyring: true` for an account. Raises ConfigError."""
    from gridbot.config.keyring_accounts import asks_keyring

    accounts = _entries(_written(path, environ), "accounts")
    return any(each.get("name") == account and asks_keyring({**each, "environment": ""}) for each in accounts)


def _written(path: Path, environ: Mapping[str, str]) -> object:
    from gridbot.config.layers import LAYERED, expanded  # not earlier: `status` is quick
    from gridbot.config.yaml_nodes import read_document

    data: object = expanded(read_document(text_of(path), environ, verbatim=LAYERED), environ).document.data
    return data


def _id(strategy: Mapping[str, Any]) -> bool:
    return isinstance(strategy.get("strat_id"), str)


def _entries(data: object, section: str) -> list[dict[str, Any]]:
    return [entry for entry in _list(data.get(section)) if isinstance(entry, dict)] if isinstance(data, dict) else []


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
