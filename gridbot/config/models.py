"""The whole of `gridbot.yaml` as frozen models: every key, its unit, its default, its bounds.

Times are seconds as float. The descriptions of the fields are the text of `docs/configuration.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from gridbot.config.account_models import AccountConfig, StrategyConfig, with_environment
from gridbot.config.errors import expected
from gridbot.config.fields import Level, Model, Seconds, SecondsOrOff
from gridbot.config.fleet_models import FleetCaps, FleetConfig
from gridbot.config.notify import NotifyConfig
from gridbot.config.storage import StorageConfig
from gridbot.config.strategy_kinds import StrategySection
from gridbot.config.telegram import TelegramConfig
from gridbot.config.web import WebConfig
from gridbot.doors.fleet_dsn import dsn_secrets
from gridbot.exchange.environment import Environment
from gridbot.exchange.rsa_keys import is_rsa_key, telling_lines
from gridbot.paper.settings import PaperConfig

__all__ = ["GridbotConfig", "LoggingConfig", "OnStop", "RestartConfig", "SupervisorConfig"]


class OnStop(StrEnum):
    """What becomes of resting orders and positions at an orderly stop."""

    KEEP = "keep"
    CANCEL = "cancel"
    FLATTEN = "flatten"


class RestartConfig(Model):
    """What happens to a child process that died."""

    backoff_initial: Seconds = Field(
        1.0, description="Seconds before the second restart in a row, doubled each time; the first is at once."
    )
    backoff_max: Seconds = Field(60.0, description="Longest wait in seconds.")
    max_restarts: int = Field(5, ge=0, description="More than this many within `window` and the child is given up.")
    window: Seconds = Field(600.0, description="Seconds over which restarts are counted.")


class SupervisorConfig(Model):
    """The process above all others."""

    heartbeat_timeout: Seconds = Field(
        10.0,
        description="Seconds without a report until a child is restarted; waits for a core or the disk do not count.",
    )
    stop_timeout: Seconds = Field(20.0, description="Seconds an orderly stop may take before children are killed.")
    on_stop: OnStop = Field(OnStop.KEEP, description="Resting orders at stop: keep, cancel, or flatten positions too.")
    restart: RestartConfig = Field(default_factory=RestartConfig, description="Restarts of children.")
    requests_per_5s: int = Field(
        600, ge=0, description="HTTP requests per 5 s that Bybit allows this machine's address; 0 counts none."
    )
    requests_for_others: float = Field(
        0.1, ge=0, lt=1, description="Part of them that the workers leave to other programs on this address."
    )

    def share_of(self, requests: int) -> int:
        """How many of the requests that an exchange allows this address are for the workers; 0 stays 0."""
        return max(1, requests - self.share_of_others(requests)) if requests else 0

    def share_of_others(self, requests: int) -> int:
        """How many of them are for others, such as our own `ledger check`."""
        return round(requests * self.requests_for_others)


class LoggingConfig(Model):
    """data/logs/<process>.jsonl and the console."""

    level: Level = Field("INFO", description="Least severe line in the files: DEBUG, INFO, WARNING, ERROR.")
    console_level: Level = Field("INFO", description="Least severe line on the console.")
    max_bytes: int = Field(20_000_000, ge=10_000, description="Size at which a file is rotated.")
    backups: int = Field(5, ge=1, le=100, description="Rotated files kept per process.")


def _some(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if not values:
        raise expected("at least one account", "add one: `- name: alice`")
    return values


class GridbotConfig(Model):
    """The whole file."""

    ALIASES = ("testnet", "defaults", "templates")

    environment: Environment | None = Field(None, description="Default of all accounts that name none.")
    allow_mainnet: bool = Field(False, description="Must be true before any account may use real money.")
    accounts: Annotated[tuple[AccountConfig, ...], AfterValidator(_some)] = Field(
        description="One worker process each."
    )
    strategies: tuple[StrategySection, ...] = Field((), description="What trades.")
    fleet: FleetConfig = Field(default_factory=FleetConfig, description="What all accounts share, and groups of them.")
    position_check_interval: Seconds = Field(
        63.0, description="Seconds until positions are read again by REST; order sweeps read them, too."
    )
    order_sync_interval: SecondsOrOff = Field(61.0, description="Seconds between open-order sweeps; 0 is off.")
    wallet_cache_interval: SecondsOrOff = Field(300.0, description="Seconds a REST wallet reading is used; 0 is none.")
    rest_fetch_timeout: Seconds = Field(10.0, description="Seconds until a REST request is given up.")
    auth_cooldown_minutes: Annotated[float, Field(gt=0)] = Field(
        30.0, description="Pause of an account after repeated authentication errors."
    )
    supervisor: SupervisorConfig = Field(default_factory=SupervisorConfig, description="Process supervision.")
    storage: StorageConfig = Field(default_factory=StorageConfig, description="Files and database.")
    paper: PaperConfig = Field(default_factory=PaperConfig, description="The embedded paper exchange.")
    web: WebConfig = Field(default_factory=WebConfig, description="The page in a browser.")
    notify: NotifyConfig = Field(default_factory=NotifyConfig, description="Messages about alerts.")
    telegram: TelegramConfig = Field(default_factory=TelegramConfig, description="Questions and commands by Telegram.")
    logging: LoggingConfig = Field(default_factory=LoggingConfig, description="Log files and console.")

    @model_validator(mode="before")
    @classmethod
    def _default_environment(cls, data: Any) -> Any:
        return _with_default_environment(data)

    def account(self, name: str) -> AccountConfig:
        """Raises KeyError."""
        for account in self.accounts:
            if account.name == name:
                return account
        raise KeyError(name)

    def groups(self) -> dict[str, list[str]]:
        """The names of the accounts that have each label, both in the order of the file."""
        found: dict[str, list[str]] = {}
        for account in self.accounts:
            for group in account.groups:
                found.setdefault(group, []).append(account.name)
        return found

    def neighbours(self, name: str) -> int:
        """How many accounts share the exchange of that one, and our address, itself included."""
        on_paper = self.account(name).environment is Environment.PAPER
        return sum((account.environment is Environment.PAPER) is on_paper for account in self.accounts)

    def cap_scopes(self) -> dict[str, tuple[FleetCaps, list[str]]]:
        """Each scope of caps over several accounts that has any: by its name, the caps and the accounts they hold for.

        A scope holds for one environment: `fleet/paper`, `group night/mainnet`.
        """
        groups = self.groups()
        sections = [("fleet", self.fleet.caps, [account.name for account in self.accounts])]
        sections += [(f"group {name}", group.caps, groups.get(name, [])) for name, group in self.fleet.groups.items()]
        found: dict[str, tuple[FleetCaps, list[str]]] = {}
        for name, caps, accounts in sections:
            for account in accounts if caps.is_set else ():
                scope = f"{name}/{self.account(account).environment}"
                found.setdefault(scope, (caps, []))[1].append(account)
        return found

    def strategies_of(self, account: str) -> list[StrategyConfig]:
        """In the order of the file."""
        return [strategy for strategy in self.strategies if strategy.account == account]

    def secrets(self) -> list[str]:
        """Values that must never reach a log (`logging_setup.register_secret`). Paper keys are not secret."""
        values = [account.api_secret for account in self.accounts]
        values += [account.api_key for account in self.accounts if account.environment is not Environment.PAPER]
        known = [value.get_secret_value() for value in values]
        known += [line for value in known for line in telling_lines(value)]
        known += [
            each.get_secret_value() for keys in self.fleet.keys.values() for each in (keys.api_key, keys.api_secret)
        ]
        known += dsn_secrets(self.fleet.dsn.get_secret_value())
        return [*known, *self.notify.secrets(), *self.telegram.secrets()]

    @property
    def has_rsa_keys(self) -> bool:
        """Whether an account signs with RSA."""
        return any(is_rsa_key(account.api_secret.get_secret_value()) for account in self.accounts)


def _with_default_environment(data: Any) -> Any:
    """The raw data with the root's environment written into the accounts that have none."""
    data = with_environment(data)
    if not isinstance(data, Mapping) or data.get("environment") is None:
        return data
    accounts = data.get("accounts")
    if not isinstance(accounts, list | tuple):
        return data
    default = {"environment": data["environment"]}
    return {**data, "accounts": [_defaulted(account, default) for account in accounts]}


def _defaulted(account: Any, default: dict[str, Any]) -> Any:
    if isinstance(account, Mapping) and not {"environment", "testnet"} & account.keys():
        return {**account, **default}
    return account
