"""Every key of the original bot's YAML: what it may hold, its default, and what becomes of it here. A table; pure.

`tests/config/test_original_keys.py` holds the figures that are ours against the parts that have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from gridbot.core.sizing import AmountKind, AmountRule
from gridbot.core.strict_numbers import decimal_or_none

__all__ = [
    "ACCOUNT",
    "CAPS",
    "CHASE",
    "NOTIFICATION",
    "OUR_FIGURES",
    "REFUSED_KEYS",
    "ROOT",
    "STRATEGY",
    "TELEGRAM",
    "Fate",
    "Kind",
    "OldKey",
    "Outcome",
    "is_of_another_base",
]

Value = str | int | bool | Decimal | None
_OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|0[xb][0-9a-f_]+|[0-9][0-9_:.]*[_:][0-9_:.]*)\Z", re.IGNORECASE)
_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class Fate(StrEnum):
    """What becomes of a key."""

    DIFFERS = "differs"
    NO_EQUAL = "no equal"
    IGNORED = "ignored"
    TAKEN = "taken over"
    SAME = "same by our default"


class Outcome(NamedTuple):
    """What becomes of a key with its value: `ours` is a key of our file (with `written` as its value), or empty."""

    fate: Fate
    note: str = ""
    ours: str = ""
    written: str = ""


class Kind(NamedTuple):
    """What a key may hold: `read` gives its value, and raises ValueError; `expected` says it in words."""

    expected: str
    read: Callable[[str], Value]


Rule = Callable[[Value, bool], Outcome]
"""From the value, and whether the file has it, to what becomes of it."""


@dataclass(frozen=True, slots=True)
class OldKey:
    """`default` as the file would write it; None: unset, and the file may say null. `is_secret`: never shown."""

    kind: Kind
    default: str | None
    rule: Rule
    is_required: bool = False
    is_secret: bool = False


# ---------------------------------------------------------------------- kinds


def _decimal(text: str) -> Decimal:
    number = decimal_or_none(text)
    if number is None or is_of_another_base(text):
        raise ValueError(text)
    return number


def is_of_another_base(text: str) -> bool:
    """Whether YAML 1.1, which the original reads, may take a plain text for another number than it looks like.

    `010` is 8 there, `0x10` 16, `1_000` 1000, and `1:30` 90; in quotes `010` is 10.
    """
    return _OTHER_BASE.match(text.strip()) is not None


def _number(expected: str, fits: Callable[[Decimal], bool]) -> Kind:
    def read(text: str) -> Value:
        number = _decimal(text)
        if not fits(number):
            raise ValueError(text)
        return number

    return Kind(expected, read)


def _whole(least: int) -> Kind:
    def read(text: str) -> Value:
        number = _decimal(text)
        if number % 1 or number < least:
            raise ValueError(text)
        return int(number)

    return Kind(f"a whole number from {least} up", read)


def _switch(text: str) -> Value:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError(text)
    return text.lower() in _TRUE


def _words(text: str) -> Value:
    if not text.strip():
        raise ValueError(text)
    return text


def _amount(text: str) -> Value:
    if AmountRule.parse(text).kind is AmountKind.QUANTITY or is_of_another_base(text):
        raise ValueError(text)
    return text


ABOVE_0 = _number("a number above 0", lambda number: number > 0)
FROM_0 = _number("a number from 0 up", lambda number: number >= 0)
FACTOR = _number("a number above 0, at most 100", lambda number: 0 < number <= 100)
SWITCH = Kind("true or false", _switch)
WORDS = Kind("text", _words)
AMOUNT = Kind("USDT such as 100, or a fraction of the wallet such as x0.001", _amount)


def text_of(value: Value) -> str:
    """As our file writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)


# ---------------------------------------------------------------------- rules

OUR_FIGURES: Final[Mapping[str, Decimal]] = {
    "wallet_ws_max_age_seconds": Decimal("45"),
    "dirty_rest_refresh_min_interval_seconds": Decimal("10"),
    "truncate_breaker_max_consecutive": Decimal("3"),
    "truncate_breaker_window_seconds": Decimal("60"),
    "truncate_breaker_cooldown_seconds": Decimal("60"),
    "preflight_balance_buffer": Decimal("0.05"),
    "assumed_leverage": Decimal("1"),
}
"""What is no key of ours, since it is always so."""


def _same(ours: str, note: str = "") -> Rule:
    """Our key of the same meaning and default."""

    def rule(value: Value, given: bool) -> Outcome:
        if not given:
            return Outcome(Fate.SAME, note, ours)
        return Outcome(Fate.TAKEN, note, ours, text_of(value))

    return rule


def _fixed(name: str, what: str) -> Rule:
    """No key of ours: always the figure of `OUR_FIGURES`."""

    def rule(value: Value, _given: bool) -> Outcome:
        figure = OUR_FIGURES[name]
        if value == figure:
            return Outcome(Fate.SAME, what)
        return Outcome(Fate.DIFFERS, f"always {figure} here, no key changes it: {what}")

    return rule


def _always(what: str) -> Rule:
    """A switch that is always on here."""

    def rule(value: Value, _given: bool) -> Outcome:
        if value:
            return Outcome(Fate.SAME, what)
        return Outcome(Fate.DIFFERS, f"cannot be switched off here: {what}")

    return rule


def _none(what: str, instead: str) -> Rule:
    """It did `what`; do `instead`."""

    def rule(_value: Value, _given: bool) -> Outcome:
        return Outcome(Fate.NO_EQUAL, f"{what}; {instead}")

    return rule


def _environment(value: Value, _given: bool) -> Outcome:
    if value:
        return Outcome(Fate.TAKEN, "Bybit's testnet", "environment", "testnet")
    note = "real money: nothing is sent until `allow_mainnet` is true, which you set yourself"
    return Outcome(Fate.TAKEN, note, "environment", "mainnet")


def _max_margin(value: Value, _given: bool) -> Outcome:
    note = "the original read this key and never used it; here it holds: above it no opening order is sent"
    return Outcome(Fate.DIFFERS, note, "max_margin", text_of(value))


def _wallet_topic(value: Value, given: bool) -> Outcome:
    return _always("the wallet comes by the private stream, and by REST as well")(value, given)


def _chase(value: Value, _given: bool) -> Outcome:
    if not value:
        return Outcome(Fate.IGNORED, "off in the original too")
    return Outcome(Fate.NO_EQUAL, "rested a close near the price on a low balance; reduce and flatten close")


def _shadow(value: Value, given: bool) -> Outcome:
    note = "ours also fills its orders by the real market, so it goes on as if it traded" if value else ""
    return _same("shadow_mode", note)(value, given)


def _cap(ours: str, meaning: str) -> Rule:
    """A cap that the original did not have unless it was set; ours has a default."""

    def rule(value: Value, given: bool) -> Outcome:
        if value is None or not given:
            off = "off" if ours == "caps.max_notional" else "null"
            note = f"no cap in the original; ours is on by default (`{off}` switches it off)"
            return Outcome(Fate.DIFFERS, note, ours)
        fate = Fate.DIFFERS if meaning else Fate.TAKEN
        return Outcome(fate, meaning, ours, text_of(value))

    return rule


def _loss_limit(value: Value, given: bool) -> Outcome:
    ours = "accounts.caps.session_loss_limit"
    if value is None or not given:
        return Outcome(Fate.DIFFERS, "no limit in the original; ours is on by default: x0.25 of the wallet", ours)
    note = "of the account here, not of one strategy: the smallest of its strategies is taken; fees count too"
    return Outcome(Fate.DIFFERS, note, ours, text_of(value))


def _midnight(value: Value, _given: bool) -> Outcome:
    if value:
        note = "forgot the loss at midnight UTC; here the account stays latched until you resume it"
        return Outcome(Fate.DIFFERS, note)
    return Outcome(Fate.SAME, "stays latched until resume")


# ---------------------------------------------------------------------- the table

_SKIPPED = _none("shaped the log lines of skipped orders", "each first refusal is a record here, why shows them all")
_DIVERGENCE = _none(
    "tuned when divergence was suspected",
    "everything is compared with the exchange each order_sync_interval, after each gap, and whatever does not fit",
)
_TOLD = _none("sent alerts to Telegram", "ours are shown by alerts and status, and in the log and the records")


ROOT: Final[Mapping[str, OldKey]] = {
    "database_url": OldKey(
        WORDS,
        "sqlite:///gridbot.db",
        _none("where records went", "ours are in storage.data_dir, sql reads them; the old ones stay"),
        is_secret=True,
    ),
    "status_file_path": OldKey(WORDS, None, _none("a JSON file of its health", "status --json prints ours")),
    "status_file_enabled": OldKey(SWITCH, "true", _none("wrote that file", "status --json prints ours")),
    "position_check_interval": OldKey(ABOVE_0, "63", _same("position_check_interval")),
    "order_sync_interval": OldKey(FROM_0, "61", _same("order_sync_interval", "0 is off")),
    "wallet_cache_interval": OldKey(FROM_0, "300", _same("wallet_cache_interval", "0 asks each time")),
    "wallet_ws_enabled": OldKey(SWITCH, "true", _wallet_topic),
    "wallet_ws_max_age_seconds": OldKey(
        ABOVE_0,
        "45",
        _fixed("wallet_ws_max_age_seconds", "seconds a wallet figure counts; with an older one an order each 5 s goes"),
    ),
    "rest_fetch_timeout": OldKey(ABOVE_0, "10", _same("rest_fetch_timeout")),
    "auth_cooldown_minutes": OldKey(_whole(1), "30", _same("auth_cooldown_minutes")),
}  # fmt: skip
"""Scalars of the root. `accounts`, `strategies` and `notification` are sections."""

NOTIFICATION: Final = "notification"
TELEGRAM: Final[Mapping[str, OldKey]] = {
    "bot_token": OldKey(WORDS, None, _TOLD, is_secret=True),
    "chat_id": OldKey(WORDS, None, _TOLD, is_secret=True),
}

ACCOUNT: Final[Mapping[str, OldKey]] = {
    "name": OldKey(WORDS, None, _same("name"), is_required=True),
    "api_key": OldKey(WORDS, None, _same("api_key"), is_required=True, is_secret=True),
    "api_secret": OldKey(WORDS, None, _same("api_secret"), is_required=True, is_secret=True),
    "testnet": OldKey(SWITCH, "true", _environment),
}

CHASE: Final = "chase_close_enabled"
STRATEGY: Final[Mapping[str, OldKey]] = {
    "strat_id": OldKey(WORDS, None, _same("strat_id"), is_required=True),
    "account": OldKey(WORDS, None, _same("account"), is_required=True),
    "symbol": OldKey(WORDS, None, _same("symbol"), is_required=True),
    "tick_size": OldKey(ABOVE_0, None, _same("tick_size", "only compared with the exchange's, as before")),
    "grid_count": OldKey(_whole(4), "50", _same("grid_count")),
    "grid_step": OldKey(ABOVE_0, "0.2", _same("grid_step", "percent")),
    "amount": OldKey(AMOUNT, "x0.001", _same("amount")),
    "max_margin": OldKey(ABOVE_0, "8", _max_margin),
    "early_imbalance_multiplier": OldKey(FACTOR, "1", _same("early_imbalance_multiplier")),
    "min_liq_ratio": OldKey(FROM_0, "0.8", _same("min_liq_ratio")),
    "max_liq_ratio": OldKey(FROM_0, "1.2", _same("max_liq_ratio")),
    "min_total_margin": OldKey(FROM_0, "0.15", _same("min_total_margin")),
    "increase_same_position_on_low_margin": OldKey(SWITCH, "false", _same("increase_same_position_on_low_margin")),
    "dirty_refresh_enabled": OldKey(SWITCH, "true", _always("a leg is read again after 110017")),
    "dirty_rest_refresh_min_interval_seconds": OldKey(
        ABOVE_0, "10", _fixed("dirty_rest_refresh_min_interval_seconds", "seconds between such readings at least")
    ),
    "truncate_breaker_max_consecutive": OldKey(
        _whole(1), "3", _fixed("truncate_breaker_max_consecutive", "refusals until a level waits; here of any code")
    ),
    "truncate_breaker_window_seconds": OldKey(
        ABOVE_0, "60", _fixed("truncate_breaker_window_seconds", "seconds in which they count")
    ),
    "truncate_breaker_cooldown_seconds": OldKey(
        ABOVE_0, "60", _fixed("truncate_breaker_cooldown_seconds", "seconds that the level waits")
    ),
    "truncate_breaker_reconcile": OldKey(SWITCH, "true", _always("everything is compared when a level is given up")),
    "preflight_balance_check_enabled": OldKey(
        SWITCH, "true", _always("an opening order that the balance does not cover is not sent")
    ),
    "preflight_balance_buffer": OldKey(
        FROM_0, "0.05", _fixed("preflight_balance_buffer", "slack on the margin that an opening order needs")
    ),
    "assumed_leverage": OldKey(ABOVE_0, "1", _fixed("assumed_leverage", "leverage that counts while it is not known")),
    "low_balance_fraction": OldKey(ABOVE_0, "0.1", _same("low_balance_fraction")),
    "moderate_liq_low_balance_fix_enabled": OldKey(
        SWITCH, "true", _always("closes are not made smaller while the balance is low")
    ),
    CHASE: OldKey(SWITCH, "false", _chase),
    "chase_position_ratio_threshold": OldKey(ABOVE_0, "5", _chase),
    "chase_offset_pct": OldKey(ABOVE_0, "0.0007", _chase),
    "chase_replace_drift_pct": OldKey(ABOVE_0, "0.001", _chase),
    "chase_close_hysteresis": OldKey(FROM_0, "0.1", _chase),
    "low_balance_skip_transition_logs_enabled": OldKey(SWITCH, "true", _SKIPPED),
    "low_balance_skip_exit_idle_seconds": OldKey(_whole(0), "60", _SKIPPED),
    "low_balance_skip_summary_enabled": OldKey(SWITCH, "true", _SKIPPED),
    "low_balance_skip_summary_interval_sec": OldKey(_whole(1), "60", _SKIPPED),
    "divergence_detector_enabled": OldKey(SWITCH, "true", _always("what does not fit the exchange is compared")),
    "divergence_failure_mix_threshold": OldKey(_whole(1), "10", _DIVERGENCE),
    "divergence_failure_mix_window_seconds": OldKey(ABOVE_0, "60", _DIVERGENCE),
    "divergence_retry_budget": OldKey(_whole(1), "5", _DIVERGENCE),
    "divergence_size_check_interval_seconds": OldKey(ABOVE_0, "300", _DIVERGENCE),
    "divergence_size_delta_qty_step_multiplier": OldKey(ABOVE_0, "5", _DIVERGENCE),
    "divergence_reconcile_min_interval_seconds": OldKey(ABOVE_0, "300", _DIVERGENCE),
    "shadow_mode": OldKey(SWITCH, "false", _shadow),
}

CAPS: Final[Mapping[str, OldKey]] = {
    "enabled": OldKey(SWITCH, "true", _always("each cap of ours is switched off by itself")),
    "max_notional_per_symbol": OldKey(
        ABOVE_0, None, _cap("caps.max_notional", "ours values at the mark and counts resting opens: it holds earlier")
    ),
    "max_open_orders": OldKey(_whole(1), None, _cap("caps.max_open_orders", "")),
    "session_loss_limit": OldKey(ABOVE_0, None, _loss_limit),
    "session_loss_auto_reset_utc_midnight": OldKey(SWITCH, "true", _midnight),
    "max_orders_per_minute": OldKey(
        _whole(1), None, _cap("caps.max_orders_per_minute", "ours counts attempts, not only what was accepted")
    ),
}
"""Of `safety_caps` in a strategy."""

REFUSED_KEYS: Final[Mapping[str, str]] = {
    "long_koef": "the original refuses it as well: it is called early_imbalance_multiplier there and here",
    "short_koef": "the original has none: what it has is early_imbalance_multiplier, of the long side alone",
}
"""Names of before that the original does not take."""
