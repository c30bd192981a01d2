"""How a fix is taken out: what takes the place of what, of the same shape; and what that itself does wrong.

A replacement with a parameter too few raises at each call, and seeds that find that prove nothing about the fix. So one
that cannot be called as what it replaces is refused before the run, and what Python raises in one during a run is noted
(`noting_faults`): it is no finding.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from inspect import Parameter
from typing import Any, cast
from unittest.mock import patch

from gridbot.exchange.failures import ExchangeError

__all__ = ["Misfit", "misfit", "noting_faults", "replaced", "replaced_in", "together"]

EITHER = Parameter.POSITIONAL_OR_KEYWORD
BY_PLACE = frozenset({Parameter.POSITIONAL_ONLY, EITHER})


class Misfit(TypeError):
    """A replacement is of another shape than what it replaces."""


def together(*patches: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    """All of these, in this order, until the block ends."""
    stack = contextlib.ExitStack()
    for each in patches:
        stack.enter_context(each)
    return stack


def replaced(owner: object, **by: object) -> AbstractContextManager[Any]:
    """Attributes of a class, module or object with others in their place. Misfit when one is of another shape;
    AttributeError when there is none."""
    fitted = {
        name: _fitted(f"{getattr(owner, '__name__', owner)}.{name}", _of(owner, name), other)
        for name, other in by.items()
    }
    patches: AbstractContextManager[Any] = patch.multiple(owner, **fitted)
    return patches


def replaced_in(table: Mapping[Any, Any], by: Mapping[Any, Any]) -> AbstractContextManager[Any]:
    """The same with entries of a dictionary. KeyError when there is none."""
    return patch.dict(
        cast("dict[Any, Any]", table), {key: _fitted(f"of {key}", table[key], other) for key, other in by.items()}
    )


def misfit(real: Callable[..., Any], by: Callable[..., Any]) -> str:
    """Why `by` cannot be called wherever `real` is; "" when it can. What the first parameter is called is free: of a
    class it is the object."""
    if inspect.iscoroutinefunction(real) is not inspect.iscoroutinefunction(by):
        return "one is awaited, the other is not"
    wanted, given = ([*inspect.signature(each).parameters.values()] for each in (real, by))
    kinds = {each.kind for each in given}
    places = [each for each in given if each.kind in BY_PLACE]
    names = {each.name: each for each in given if each.kind in (EITHER, Parameter.KEYWORD_ONLY)}
    met = set()
    for at, each in enumerate(wanted):
        if each.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            if each.kind not in kinds:
                return f"it takes no {each}"
            continue
        is_placed = each.kind in BY_PLACE
        other = (places[at] if at < len(places) else None) if is_placed else names.get(each.name)
        if other is None:
            if (Parameter.VAR_POSITIONAL if is_placed else Parameter.VAR_KEYWORD) not in kinds:
                return f"it takes no {each.name!r}"
            continue
        met.add(other.name)
        if at and other.name != each.name:
            return f"it calls {each.name!r} {other.name!r}"
        if each.default is not Parameter.empty and other.default is Parameter.empty:
            return f"it cannot do without {each.name!r}"
    asked = [each for each in (*places, *names.values()) if each.default is Parameter.empty and each.name not in met]
    return f"it wants {asked[0].name!r}, which nobody gives" if asked else ""


@contextlib.contextmanager
def noting_faults() -> Iterator[list[str]]:
    """What Python raises in replacements meanwhile, each sentence once."""
    before = _faults[:]
    _faults.clear()
    found: list[str] = []
    try:
        yield found
    finally:
        found += dict.fromkeys(_faults)
        _faults[:] = before


_faults: list[str] = []


def _of(owner: object, name: str) -> Any:
    """As it stands there: a property, not what it is now."""
    return inspect.getattr_static(owner, name) if isinstance(owner, type) else getattr(owner, name)


def _fitted(name: str, real: Any, by: Any) -> Any:
    if isinstance(real, property) and isinstance(by, property):
        return property(_fitted(name, real.fget, by.fget))
    if inspect.isroutine(real) and callable(by):
        why = misfit(real, by)
        if why:
            raise Misfit(f"{name}: expected a replacement with the parameters {inspect.signature(real)}, but {why}")
        return _heard(name, by)
    if type(real) is not type(by):
        raise Misfit(f"{name}: expected {type(real).__name__} in its place, got {type(by).__name__}")
    return by


def _heard(name: str, by: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and what it raises is noted. What the exchange is to blame for it may raise."""

    def note(error: Exception) -> None:
        if not isinstance(error, ExchangeError):
            _faults.append(f"what stands in for {name} raised {type(error).__name__}: {error}")

    if inspect.iscoroutinefunction(by):

        @functools.wraps(by)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            try:
                return await by(*args, **kwargs)
            except Exception as error:
                note(error)
                raise

        return awaited

    @functools.wraps(by)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return by(*args, **kwargs)
        except Exception as error:
            note(error)
            raise

    return called
