"""Numbers in texts of a configuration are read as strictly as those of an exchange (`core/strict_numbers.py`). Pure.

pydantic alone would take `1_000`, `١٢` and `1e999999`.
"""

from __future__ import annotations

import types
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from gridbot.core.strict_numbers import decimal_or_none, whole_or_none

__all__ = ["StrictModel"]


class StrictModel(BaseModel):
    """Base of models whose values come from a file."""

    @field_validator("*", mode="before")
    @classmethod
    def _read_number(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or info.field_name is None:
            return value
        kind = _kind_of(cls, info.field_name)
        if kind is int and whole_or_none(value) is None:
            raise PydanticCustomError("int_strict", "expected a whole number")
        if kind is Decimal and decimal_or_none(value) is None:
            raise PydanticCustomError("decimal_strict", "expected a number")
        return value


@cache
def _kind_of(model: type[BaseModel], field: str) -> type | None:
    return _number_in(model.model_fields[field].annotation)


def _number_in(annotation: Any) -> type | None:
    """int, or Decimal for those with a point, when a text of this type is to be a number."""
    if get_origin(annotation) is Annotated:
        return _number_in(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        found = {_number_in(part) for part in get_args(annotation) if part is not types.NoneType}
        return found.pop() if len(found) == 1 else None
    if annotation is int:
        return int
    return Decimal if annotation in (Decimal, float) else None
