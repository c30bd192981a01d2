"""What a worker or a supervisor runs with, as JSON values without secrets, for the records of its run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from gridbot.config.fleet_document import SHARED_OF_FLEET
from gridbot.config.fleet_models import FleetConfig
from gridbot.config.models import GridbotConfig

__all__ = ["account_snapshot", "config_of", "fleet_snapshot", "snapshot_sha256"]

OF_THE_HOST: Final = {key for key in FleetConfig.model_fields if key not in SHARED_OF_FLEET}
GONE_OF_ACCOUNTS: Final = frozenset({"keep_warm"})
"""Keys of an account that earlier versions had, and recorded; they changed nothing of what was traded."""


def account_snapshot(config: GridbotConfig, account: str) -> dict[str, Any]:
    """What one worker runs with, as JSON values without secrets: the record of the run. Raises KeyError.

    Where files lie, how logs are written, who is told of alerts, who may ask and which host it is, is left out: it does
    not change what is traded.
    """
    exclude: dict[str, Any] = dict.fromkeys(("accounts", "strategies", "paper", "logging", "notify", "telegram"), True)
    shared = config.model_dump(mode="json", exclude={**exclude, "storage": {"data_dir"}, "fleet": OF_THE_HOST})
    mine = config.account(account).model_dump(mode="json", exclude={"api_key", "api_secret"})
    strategies = [strategy.model_dump(mode="json") for strategy in config.strategies_of(account)]
    snapshot = {**shared, "account": mine, "strategies": strategies}
    if config.account(account).environment == "paper":
        snapshot["paper"] = config.paper.model_dump(mode="json")
    return snapshot


def fleet_snapshot(config: GridbotConfig) -> dict[str, Any]:
    """What one supervisor runs: every account's snapshot by name, without secrets."""
    return {account.name: account_snapshot(config, account.name) for account in config.accounts}


def config_of(snapshot: Mapping[str, Any], now: GridbotConfig) -> GridbotConfig:
    """The configuration that `account_snapshot` was taken of, for its account alone. What that leaves out (keys, where
    files are, how logs are written, of a live account the paper exchange) is that of `now`.

    Raises ValueError, LookupError and TypeError for what this version cannot read.
    """
    document = {name: value for name, value in snapshot.items() if name != "account"}
    mine = {key: value for key, value in snapshot["account"].items() if key not in GONE_OF_ACCOUNTS}
    if mine["name"] in {account.name for account in now.accounts}:
        known = now.account(mine["name"])
        mine |= {"api_key": known.api_key, "api_secret": known.api_secret}
    document["accounts"] = [mine]
    document["storage"] = {**document["storage"], "data_dir": now.storage.data_dir}
    document["logging"] = now.logging
    document.setdefault("paper", now.paper)
    return GridbotConfig.model_validate(document)


def snapshot_sha256(snapshot: Mapping[str, Any]) -> str:
    """SHA-256 in hex of the snapshot's canonical JSON: equal configurations, equal digests."""
    text = json.dumps(snapshot, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
