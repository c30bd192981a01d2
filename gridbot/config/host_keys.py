"""Which accounts' keys a host of a fleet has (`fleet.keys`): it offers only for those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gridbot.config.fleet_models import ALL_ACCOUNTS, FleetConfig, HostKeys
from gridbot.config.paths import path_fault, placed
from gridbot.config.system_keyring import Trouble, ask_keyring, entries_of
from gridbot.config.variables import value_of_file

__all__ = ["FoundKeys", "found_keys"]

PLACEHOLDER: Final = "{account}"


@dataclass(frozen=True, slots=True)
class FoundKeys:
    """Key and secret of the accounts that a host may have; why not, of the others."""

    keys: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    missing: dict[str, str] = field(default_factory=dict)


def found_keys(fleet: FleetConfig, accounts: list[str], root: Path, environ: Mapping[str, str]) -> FoundKeys:
    """The keys of these accounts, as this host has them now. Relative paths start from `root`. Never raises."""
    found, in_keyring = FoundKeys(), list[str]()
    for account in accounts:
        entry = fleet.keys.get(account) or fleet.keys.get(ALL_ACCOUNTS)
        if entry is None:
            found.missing[account] = "fleet.keys of this host has no entry for it"
        elif entry.keyring:
            in_keyring.append(account)
        else:
            _take(found, account, entry, root)
    if in_keyring:
        _ask(found, in_keyring, environ)
    return found


def _take(found: FoundKeys, account: str, entry: HostKeys, root: Path) -> None:
    values = []
    for value, path, what in (
        (entry.api_key.get_secret_value(), entry.api_key_file, "key"),
        (entry.api_secret.get_secret_value(), entry.api_secret_file, "secret"),
    ):
        why = f"fleet.keys of this host names no {what}"
        if not value and path is not None:
            named = account.join(path.split(PLACEHOLDER))
            if path_fault(named) is None:
                value, why = value_of_file(str(placed(root, named)))
        if not value:
            found.missing[account] = f"no {what} of it: {why}"
            return
        values.append(value)
    found.keys[account] = values[0], values[1]


def _ask(found: FoundKeys, accounts: list[str], environ: Mapping[str, str]) -> None:
    try:
        answer = ask_keyring("get", [name for account in accounts for name in entries_of(account)], environ)
    except Trouble as why:
        found.missing.update(dict.fromkeys(accounts, f"the system keyring: expected {why.expected}, got {why.got}"))
        return
    for account, key, secret in zip(accounts, answer.values[::2], answer.values[1::2], strict=True):
        if key.strip() and secret.strip():
            found.keys[account] = key.strip(), secret.strip()
        else:
            found.missing[account] = "the system keyring has no key and secret of it"
