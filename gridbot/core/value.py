"""Values that are made many times a second. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

__all__ = ["named_value", "value"]

T = TypeVar("T")


@dataclass_transform(frozen_default=True, eq_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, for the type checker, which lets nobody change one.

    At run time nothing stands in the way: what does, in a dataclass that is frozen there too, makes it five times as
    dear to make one of ten fields (1.0 against 0.2 µs), and there is one with each price. Equal ones have equal hashes.
    """
    return dataclass(slots=True, eq=True, unsafe_hash=True)(cls)


@dataclass_transform(frozen_default=True, eq_default=True, kw_only_default=True, field_specifiers=(field,))
def named_value(cls: type[T]) -> type[T]:
    """The same, made by the names of its fields alone."""
    return dataclass(slots=True, eq=True, unsafe_hash=True, kw_only=True)(cls)
