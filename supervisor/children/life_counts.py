"""Adds up what the processes of a child have counted, one after the other: a count never goes back when one dies. Pure.

A count is a number, a list of numbers, or a dict of counts. What a process counted after its last report dies with it:
a second at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["added_up"]


def added_up(before: Any, now: Any) -> Any:
    """Both together. What only one has is there as it is; what does not fit together is as it is `now`."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return {key: added_up(before.get(key), now.get(key)) for key in (*before, *(k for k in now if k not in before))}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [added_up(old, new) for old, new in zip(before, now, strict=True)]
    if _is_number(before) and _is_number(now):
        return before + now
    return before if now is None else now


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
