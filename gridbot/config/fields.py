"""Types of values in `gridbot.yaml`, for the models of its sections: names, caps, durations, with their bounds."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer

from gridbot.config.errors import expected
from gridbot.core.limits import DrawdownLimit, Limit
from gridbot.core.sizing import AmountRule
from gridbot.doors.strict_model import StrictModel
from gridbot.exchange.dead_man import LEAST_S, MOST_S
from gridbot.exchange.dead_man import DeadMan as DeadManSwitch

__all__ = [
    "Amount",
    "Cap",
    "DeadMan",
    "Drawdown",
    "Groups",
    "KeepFor",
    "Level",
    "Model",
    "Name",
    "Positive",
    "Seconds",
    "SecondsOrOff",
    "Symbol",
    "age_text",
    "is_name",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z")
_SYMBOL = re.compile(r"[A-Z0-9]{1,20}USDT\Z")
_AGE = re.compile(r"([0-9]{1,5})([dh])\Z")


def _limit(value: Any) -> Any:
    if value is None or isinstance(value, Limit):
        return value
    text = str(value).strip()
    if text.lower() in ("off", "none"):
        return None
    try:
        return Limit.parse(text)
    except ValueError:
        raise expected("USDT such as 20000, a multiple of the wallet such as x10, or off") from None


def _drawdown(value: Any) -> Any:
    if value is None or isinstance(value, DrawdownLimit):
        return value
    text = str(value).strip()
    if text.lower() in ("off", "none", "false"):  # YAML reads a bare `off` as false
        return None
    try:
        return DrawdownLimit.parse(text)
    except ValueError:
        raise expected("USDT such as 500, a share of the peak such as 20%, or off") from None


def _dead_man(value: Any) -> Any:
    if value is None or isinstance(value, DeadManSwitch):
        return value
    text = str(value)
    if text.strip().lower() in ("off", "none", "false"):
        return None
    try:
        return DeadManSwitch.parse(text)
    except ValueError:
        what = f"off, or dcp with {LEAST_S} to {MOST_S} seconds such as `dcp 30`"
        raise expected(what, "write one of them") from None


def is_name(text: str) -> bool:
    """Whether accounts, strategies and hosts may be called so."""
    return _NAME.match(text) is not None


def _name(value: str) -> str:
    if not is_name(value):
        what = "1 to 32 letters, digits, _ or -, the first a letter or digit"
        raise expected(what, "choose such a name: it becomes a directory")
    return value


def _group(value: str) -> str:
    if not _NAME.match(value):
        raise expected("a label of 1 to 32 letters, digits, _ or -, the first a letter or digit", "choose such a label")
    return value


def _each_once(labels: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((label for place, label in enumerate(labels) if label in labels[:place]), None)
    if twice is not None:
        raise expected("each group once", "remove one of the two", got=f"`{twice}` twice")
    return labels


def _symbol(value: str) -> str:
    if not _SYMBOL.match(value):
        raise expected("a USDT perpetual such as BTCUSDT", "write the whole symbol in capitals, as Bybit does")
    return value


def _amount(value: str) -> str:
    try:
        return str(AmountRule.parse(value))
    except ValueError:
        what = "x0.001 (fraction of the wallet), 100 (USDT) or q0.01 (coins), above zero"
        raise expected(what, "write one of the three") from None


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


def _keep_for(value: Any) -> Any:
    """`30d` and `12h` as a duration; `off` (keep for ever) as None."""
    if value is None or isinstance(value, timedelta):
        return value
    text = str(value).strip().lower()
    if text in ("off", "none", "false"):  # YAML reads a bare `off` as false
        return None
    found = _AGE.match(text)
    if found is None or not int(found[1]):
        raise expected("days such as 30d, hours such as 12h, or off for ever", "write one of them")
    return timedelta(**{{"d": "days", "h": "hours"}[found[2]]: int(found[1])})


def age_text(age: timedelta | None) -> str:
    """A duration as the file writes it: `30d`, `12h` or `off`."""
    if age is None:
        return "off"
    hours = int(age.total_seconds()) // 3600
    return f"{hours}h" if hours % 24 else f"{hours // 24}d"


Name = Annotated[str, AfterValidator(_name)]
Groups = Annotated[tuple[Annotated[str, AfterValidator(_group)], ...], AfterValidator(_each_once)]
Symbol = Annotated[str, AfterValidator(_symbol)]
Amount = Annotated[str, BeforeValidator(_text), AfterValidator(_amount)]
Cap = Annotated[
    Limit | None, BeforeValidator(_limit), PlainSerializer(lambda limit: None if limit is None else str(limit))
]
Drawdown = Annotated[
    DrawdownLimit | None,
    BeforeValidator(_drawdown),
    PlainSerializer(lambda limit: None if limit is None else str(limit)),
]
DeadMan = Annotated[
    DeadManSwitch | None,
    BeforeValidator(_dead_man),
    PlainSerializer(lambda switch: "off" if switch is None else str(switch)),
]
KeepFor = Annotated[timedelta | None, BeforeValidator(_keep_for), PlainSerializer(age_text)]
Positive = Annotated[Decimal, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
SecondsOrOff = Annotated[float, Field(ge=0)]
Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Model(StrictModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    ALIASES: ClassVar[tuple[str, ...]] = ()
    """Keys that are accepted besides the fields."""
