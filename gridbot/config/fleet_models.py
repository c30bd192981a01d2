"""The section `fleet` of `gridbot.yaml`: caps for all accounts and groups of them, and what makes this machine a host
of a fleet on PostgreSQL.

A cap holds for each environment by itself: paper, testnet, demo and real money are never added up.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from gridbot.config.errors import expected
from gridbot.config.fields import Cap, Drawdown, KeepFor, Model, Name, is_name
from gridbot.core.limits import OnBreach
from gridbot.doors.history_name import place_problem

__all__ = ["ALL_ACCOUNTS", "FleetCaps", "FleetConfig", "GroupConfig", "HostKeys", "OnLeaseLost"]

KEEP_BESIDE_FILES: Final = timedelta(days=2)
"""How long rows of records stay in PostgreSQL when files have them, too."""
ALL_ACCOUNTS: Final = "*"
"""The entry of `fleet.keys` for every account that has none of its own."""
_BRACES: Final = re.compile(r"\{[^}]*\}?")


class OnLeaseLost(StrEnum):
    """What becomes of resting orders when a host cannot renew its leases."""

    KEEP = "keep"
    CANCEL = "cancel"


class FleetCaps(Model):
    """Limits of several accounts together, for each environment by itself."""

    max_notional: Cap = Field(
        None, description="Position values of all with resting opens: USDT, x-multiple of their wallets, or off."
    )
    max_drawdown: Drawdown = Field(
        None, description="Fall of the summed equity from its peak that latches all: USDT, 20% of the peak, or off."
    )
    session_loss_limit: Cap = Field(
        None,
        description="Summed loss since each was resumed last that latches all: USDT, x-fraction of the wallets, off.",
    )
    session_loss_includes_unrealised: bool = Field(
        False, description="Count unrealised losses too, not only executions and fees."
    )
    on_breach: OnBreach = Field(
        OnBreach.REDUCE,
        description="What a latch does to each account until it is resumed: reduce (closes only), cancel (nothing), or "
        "flatten (close all).",
    )

    @property
    def is_set(self) -> bool:
        """Whether there is any cap."""
        return any(cap is not None for cap in (self.max_notional, self.max_drawdown, self.session_loss_limit))


class GroupConfig(Model):
    """What accounts with one label share."""

    caps: FleetCaps = Field(default_factory=FleetCaps, description="Limits of the accounts that have this label.")


def _key_file(value: str | None) -> str | None:
    if value and set(_BRACES.findall(value)) - {"{account}"}:
        raise expected("the name of a file, in which `{account}` is the account's name", "correct what is in braces")
    return value


KeyFile = Annotated[str | None, AfterValidator(_key_file)]


class HostKeys(Model):
    """Where a host of a fleet finds the key of an account: values, files, or the system keyring."""

    api_key: SecretStr = Field(SecretStr(""), description="API key, as ${VARIABLE}.")
    api_secret: SecretStr = Field(SecretStr(""), description="API secret or RSA private key, as ${VARIABLE}.")
    api_key_file: KeyFile = Field(None, description="A file with the API key; `{account}` is the account's name.")
    api_secret_file: KeyFile = Field(
        None, description="A file with the API secret or the RSA private key; `{account}` likewise."
    )
    keyring: bool = Field(False, description="Both from the system keyring (docs/secrets.md).")


def _owner(value: str) -> str:
    if value != ALL_ACCOUNTS and not is_name(value):
        raise expected('the name of an account, or "*" for all others', "write one of them")
    return value


def _address(value: str) -> str:
    if value:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise expected("an IP address of this machine, such as 192.0.2.7", "write one, or leave it out") from None
    return value


def _paper_url(value: str) -> str:
    if value:
        try:
            parts = urlsplit(value)
            is_one = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_one = False
        if not is_one:
            raise expected("the address of a paper exchange, such as http://192.0.2.7:8123", "write it whole")
    return value


def _history(value: str) -> str:
    if problem := place_problem(value):
        raise expected(problem, "correct it; what stands there is not shown", got="something else")
    return value


class FleetConfig(Model):
    """What all accounts share; with `host`, what this machine is in a fleet on PostgreSQL (docs/fleet-hosts.md)."""

    caps: FleetCaps = Field(default_factory=FleetCaps, description="Limits of all accounts together.")
    groups: dict[Name, GroupConfig] = Field(
        default_factory=dict, description="By label: what the accounts share that have it in `groups`."
    )
    name: Name | None = Field(None, description="Name of the fleet, the same on all its hosts.")
    host: Name | None = Field(
        None, description="Name of this host. With it the accounts are those of PostgreSQL, and this file has none."
    )
    dsn: SecretStr = Field(
        SecretStr(""), description="Where PostgreSQL is, as ${VARIABLE}: a libpq URI or `key=value` words."
    )
    dsn_file: Path | None = Field(None, description="A file with that, in place of `dsn`.")
    address: Annotated[str, AfterValidator(_address)] = Field(
        "",
        description="IP address of this machine from which its connections to the exchange are made, which count "
        "requests by it; default: as the system chooses.",
    )
    capacity: int = Field(50, ge=0, le=100_000, description="Accounts that this host takes at most.")
    ttl: Annotated[float, Field(ge=4, le=120)] = Field(
        10.0, description="Seconds that a lease lives without being renewed; the same on all hosts."
    )
    on_lease_lost: OnLeaseLost = Field(
        OnLeaseLost.KEEP,
        description="Resting orders when leases cannot be renewed: keep, or cancel before the end. Nothing is sent "
        "after it in either case.",
    )
    keep_records: KeepFor = Field(
        timedelta(days=30),
        description="How long rows of records stay in PostgreSQL: days 30d, hours 12h, off: for ever. With `history` "
        "only what files have goes, and the default is 2d.",
    )
    history: Annotated[str, AfterValidator(_history)] = Field(
        "",
        description="Where the whole history goes as Parquet: a directory that all hosts share, or s3://BUCKET/PREFIX "
        "(keys from the environment or a profile of AWS); empty: nowhere.",
    )
    paper_url: Annotated[str, AfterValidator(_paper_url)] = Field(
        "", description="Address of the one paper exchange of all hosts; without it no account on paper runs here."
    )
    paper_seed_file: Path | None = Field(
        None, description="The `paper.seed` of that exchange, from which the secrets of paper accounts follow."
    )
    keys: dict[Annotated[str, AfterValidator(_owner)], HostKeys] = Field(
        default_factory=dict,
        description='Where this host finds the keys of accounts, by name; `"*"` is for all others.',
    )

    @property
    def is_host(self) -> bool:
        """Whether this machine is a host of a fleet on PostgreSQL."""
        return self.host is not None

    @model_validator(mode="before")
    @classmethod
    def _rows_beside_files(cls, given: Any) -> Any:
        """With files that have everything, rows are for questions about today and yesterday alone."""
        if isinstance(given, dict) and given.get("history") and "keep_records" not in given:
            return {**given, "keep_records": KEEP_BESIDE_FILES}
        return given

    @model_validator(mode="after")
    def _whole(self) -> FleetConfig:
        if self.host is None:
            if self.dsn.get_secret_value() or self.dsn_file is not None:
                what = "`host` beside `dsn` and `dsn_file`"
                raise expected(what, "write `host:` with a name that no other host has", key="host", got="nothing")
            return self
        if self.name is None:
            raise expected(
                "a name of the fleet beside `host`", "write `name:` as on its other hosts", key="name", got="nothing"
            )
        if not self.dsn.get_secret_value() and self.dsn_file is None:
            what = "`dsn: ${VARIABLE}` or `dsn_file` beside `host`"
            raise expected(what, "say where PostgreSQL is", key="dsn", got="nothing")
        return self
