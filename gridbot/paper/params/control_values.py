"""The values of a command on the control endpoint, checked before anything is changed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from gridbot.core.strict_numbers import amount_or_none, decimal_or_none, time_or_none, whole_or_none
from gridbot.paper.api_error import ApiError

__all__ = ["checked"]

LONGEST_S: Final = 10 * 365 * 86_400.0
LONGEST_TEXT: Final = 4000


def checked(command: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers as numbers, and texts of a reasonable length. ApiError for a value that cannot be what its name says."""
    return {name: _checked(name, value) for name, value in command.items()}


def _checked(name: str, value: Any) -> Any:
    if value is None:
        return None
    read = _READERS.get(name)
    found = value if read is None else read(value)
    if found is None or (isinstance(found, str) and len(found) > LONGEST_TEXT):
        raise ApiError(10001, f"command not understood: {name} cannot be that")
    return found


def _positive(value: object) -> Decimal | None:
    return amount_or_none(value) or None


def _seconds(value: object) -> float | None:
    number = amount_or_none(value)
    return None if number is None or number > LONGEST_S else float(number)


def _index(value: object) -> int | None:
    number = whole_or_none(value)
    return number if number in (0, 1, 2) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.isprintable() else None


_READERS: Final[Mapping[str, Callable[[object], Any]]] = {
    **dict.fromkeys(("price", "tick_size", "qty_step"), _positive),
    **dict.fromkeys(("size", "qty"), amount_or_none),
    **dict.fromkeys(("rate", "money", "tax"), decimal_or_none),
    **dict.fromkeys(("call_s", "no_cancel_s", "matching_s", "trading_s", "in_s", "settling_s"), _seconds),
    "delivery_ms": time_or_none,
    "positionIdx": _index,
    **dict.fromkeys(("symbol", "account", "coin", "side", "status", "phase", "id", "title", "url"), _text),
}
