"""The sections `accounts` and `strategies` of `gridbot.yaml`, and `testnet` as the older spelling of `environment`.

Money, prices and ratios are `Decimal`; times are seconds as float.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, model_validator

from gridbot.config.errors import expected
from gridbot.config.fields import Amount, Cap, DeadMan, Drawdown, Groups, Model, Name, Positive, Symbol
from gridbot.core.limits import Limit, OnBreach
from gridbot.exchange.environment import Environment
from gridbot.exchange.order_entry import OrderEntry
from gridbot.exchange.rsa_keys import is_rsa_key, key_problem, one_text
from gridbot.strategies.registry import DEFAULT_KIND, KINDS, AnyKind

__all__ = [
    "AccountCaps",
    "AccountConfig",
    "StrategyCaps",
    "StrategyConfig",
    "missing_keys",
    "with_environment",
]

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


SECRET_KEYS = ("api_key", "api_secret")
_ONE_WORD = re.compile(r"[!-~]+\Z")
"""Of printable ASCII: a header takes no more, and the library's error would show the key."""


def with_environment(data: Any) -> Any:
    """The data with `testnet: true|false` replaced by `environment`; both may be given if they agree."""
    if not isinstance(data, Mapping) or "testnet" not in data:
        return data
    rest = {key: value for key, value in data.items() if key != "testnet"}
    text = str(data["testnet"]).lower()
    if text not in _TRUE | _FALSE:
        raise expected("true or false", "write one of them, or `environment:` instead", key="testnet")
    meant = Environment.TESTNET if text in _TRUE else Environment.MAINNET
    named = rest.setdefault("environment", meant.value)
    if str(named) != meant.value:
        wanted = f"`testnet` and `environment` to agree (testnet: {text} means {meant.value})"
        raise expected(wanted, "remove one of them", key="environment", got=f"environment {named}")
    return rest


def missing_keys(name: str, environment: str, values: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """The first missing key of an account that needs both, what is expected, what to do; None if none is missing."""
    missing = [key for key in SECRET_KEYS if not str(values.get(key) or "").strip()]
    if not missing or environment == Environment.PAPER:
        return None
    stem = re.sub(r"\W", "_", name).upper()
    lines = ", ".join(f"`{key}: ${{{stem}_{key.upper()}}}`" for key in missing)
    what = f"{' and '.join(missing)} for environment {environment}"
    return missing[0], what, f"add {lines}, or choose `environment: paper`"


class StrategyCaps(Model):
    """Last limits before the wire, per strategy. Closes always pass `max_notional`."""

    max_notional: Cap = Field(
        Limit(Decimal(10), of_wallet=True),
        description="Long plus short position value with resting opens: USDT, x-multiple of the wallet, or off.",
    )
    max_open_orders: int | None = Field(200, ge=1, description="Resting orders, opens and closes.")
    max_orders_per_minute: int | None = Field(600, ge=1, description="Attempts to place within any 60 s.")


class AccountCaps(Model):
    """Last limits before the wire, for all strategies of an account together."""

    session_loss_limit: Cap = Field(
        Limit(Decimal("0.25"), of_wallet=True),
        description="Loss since the latch was last clear that halts the account: USDT, x-fraction of the wallet, off.",
    )
    session_loss_includes_unrealised: bool = Field(
        False, description="Count unrealised losses too, not only executions and fees."
    )
    max_notional: Cap = Field(None, description="Position value of all strategies with resting opens; default off.")
    max_drawdown: Drawdown = Field(
        None, description="Fall of the equity from its peak that latches the account: USDT, 20% of the peak, or off."
    )
    on_breach: OnBreach = Field(
        OnBreach.REDUCE,
        description="What the latch of `max_drawdown` does until `resume`: reduce (closes only), cancel (nothing), or "
        "flatten (close all).",
    )
    max_margin_ratio: Annotated[Decimal, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Maintenance margin / margin balance above which nothing is opened, until it is nine tenths of "
        "that; at 1 the exchange liquidates. Default off.",
    )


class AccountConfig(Model):
    """One Bybit account: one worker process. Paper accounts need no keys."""

    ALIASES = ("testnet", "template", "strategies")

    name: Name = Field(
        description="Unique; letters, digits, _ and -. Part of every order's identity: change it only while none rests."
    )
    groups: Groups = Field(
        (), description="Labels, such as `[night, vip]`: `--group night` means every account that has this one."
    )
    api_key: SecretStr = Field(SecretStr(""), description="API key, as ${VARIABLE}; not needed on paper.")
    api_secret: SecretStr = Field(
        SecretStr(""),
        description="API secret, as ${VARIABLE}, or the RSA private key in PEM whose public half Bybit has "
        "(docs/secrets.md); not needed on paper.",
    )
    api_key_file: Path | None = Field(None, description="A file with the API key, in place of `api_key`.")
    api_secret_file: Path | None = Field(
        None, description="A file with the API secret or the RSA private key, in place of `api_secret`."
    )
    keyring: bool = Field(
        False,
        description="Take key and secret from the system keyring, where `secret set ACCOUNT` stores them "
        "(the package keyring, docs/secrets.md). Nothing is asked for an account on paper.",
    )
    environment: Environment = Field(
        Environment.TESTNET, description="paper, testnet, demo or mainnet. `testnet: true|false` is the older spelling."
    )
    balance: Annotated[Decimal, Field(ge=0)] | None = Field(
        None, description="USDT at the start on paper; default paper.default_balance."
    )
    order_entry: OrderEntry = Field(
        OrderEntry.AUTO,
        description="How orders are sent: http, websocket, or auto: websocket on paper and testnet, http on demo. On "
        "mainnet auto is http until 100 creates over WebSocket were acknowledged while this account (its name, in this "
        "data directory) had `environment: testnet`. While the trade socket is down, orders go by HTTP in any case.",
    )
    allow_withdraw_permission: bool = Field(
        False,
        description="Start also with a key that may withdraw money. Trading needs no such key: whoever gets hold of it "
        "can empty the account.",
    )
    dead_man: DeadMan = Field(
        None,
        description="`dcp 30`: the exchange cancels all orders when the account's private stream has been gone for 30 "
        "seconds (3 to 300); Bybit has it for institutions only. Default off.",
    )
    hosts: Annotated[tuple[Name, ...], Field(max_length=100)] = Field(
        (),
        description="In a fleet on PostgreSQL: the hosts that may have this account, such as `[h1, h2]`; default all.",
    )
    caps: AccountCaps = Field(default_factory=AccountCaps, description="Limits of the account.")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any) -> Any:
        """The alias resolved; paper accounts get a key of their own. Its secret is in the data directory.

        `gridbot.config.paper_secrets` has it.
        """
        data = with_environment(data)
        if isinstance(data, Mapping):
            data = {**data, **{key: one_text(data[key]) for key in SECRET_KEYS if isinstance(data.get(key), str)}}
        if isinstance(data, Mapping) and str(data.get("environment")) == Environment.PAPER.value:
            return {**data, "api_key": data.get("api_key") or f"paper-{data.get('name')}"}
        return data

    @model_validator(mode="after")
    def _keys_given(self) -> Self:
        values = {key: getattr(self, key).get_secret_value() for key in SECRET_KEYS}
        if (problem := missing_keys(self.name, self.environment, values)) is not None:
            key, what, do = problem
            raise expected(what, do, key=key, got="nothing")
        for key, value in values.items():
            if value and not is_rsa_key(value) and not _ONE_WORD.match(value):
                do = "look whether its file or variable has a second line, a blank or a quote too many"
                raise expected("one word as Bybit shows it", do, key=key, got="blanks or other signs in it, not shown")
        if is_rsa_key(values["api_secret"]) and (wrong := key_problem(values["api_secret"])) is not None:
            what, got, do = wrong
            written = "keyring" if self.keyring else "api_secret" if self.api_secret_file is None else "api_secret_file"
            raise expected(what, do, key=written, got=got)
        if self.environment is Environment.DEMO and self.order_entry is OrderEntry.WEBSOCKET:
            what = "http or auto for environment demo"
            raise expected(what, "Bybit's demo takes no orders over WebSocket", key="order_entry", got="websocket")
        return self


class StrategyConfig(Model):
    """One strategy on one symbol of one account: the keys that all kinds share.

    A section of the file is an instance of a class that has the keys of its kind as well (`strategy_kinds.py`).
    """

    ALIASES = ("template",)

    strat_id: Name = Field(description="Unique and for ever: it is part of every order's identity.")
    account: Name = Field(description="Name of an account above.")
    symbol: Symbol = Field(description="USDT perpetual; one strategy per account and symbol.")
    kind: str = Field(DEFAULT_KIND, description="What decides: one of the kinds below, with its keys.")
    tick_size: Positive | None = Field(
        None, description="Only checked against the exchange's own tick; lets `check` print the ladder offline."
    )
    amount: Amount = Field(
        "x0.001", description="Size of an order: x0.001 of the wallet, 100 USDT of notional, or q0.01 coins."
    )
    max_margin: Positive = Field(
        Decimal(8), description="Position value / wallet per direction above which no opening order is sent."
    )
    shadow_mode: bool = Field(False, description="Decide and record everything, send nothing.")
    leverage: Annotated[Decimal, Field(ge=1, le=200)] | None = Field(
        None, description="Set at the start when given; otherwise what the account has stays."
    )
    min_liq_ratio: Positive = Field(
        Decimal("0.8"), description="Long liquidation price / last price above which longs are reduced."
    )
    max_liq_ratio: Positive = Field(
        Decimal("1.2"), description="Short liquidation price / last price below which shorts are reduced."
    )
    min_total_margin: Annotated[Decimal, Field(ge=0)] = Field(
        Decimal("0.15"), description="Below it equal positions are rebalanced (long + short value / wallet)."
    )
    increase_same_position_on_low_margin: bool = Field(
        False, description="That rule doubles the own side (true) or halves the other (false)."
    )
    early_imbalance_multiplier: Annotated[Decimal, Field(gt=0, le=100)] = Field(
        Decimal(1), description="Size factor while 1.1 < long/short < 10 and neither side has a liquidation price."
    )
    low_balance_fraction: Annotated[Decimal, Field(gt=0, le=1)] = Field(
        Decimal("0.1"), description="Available balance / position value below which closes are not shrunk."
    )
    caps: StrategyCaps = Field(default_factory=StrategyCaps, description="Limits of the strategy.")

    @property
    def decided_by(self) -> AnyKind:
        """The kind of strategy that `kind` names."""
        return KINDS[self.kind]
