"""One test of a whole table: for tables of many small cases of one function, whose answers take less time than pytest
needs to collect, set up and report a test of their own.

    @case_table(("text", "number"), [("1", 1), ("2", 2)])  ──►  one test that names each case that fails
    def test_it(text, number): ...

Not for tests with fixtures that a case could change: all cases share them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

import pytest

__all__ = ["case_table"]

FAILED = (Exception, BaseExceptionGroup, pytest.fail.Exception, pytest.skip.Exception)
"""What ends a case. Who skips one would skip all that follow: it counts as failed."""
type_of_param = type(pytest.param())


def case_table(names: str | Sequence[str], cases: Iterable[Any], ids: Any = None) -> Callable[..., Any]:
    """As `pytest.mark.parametrize`, but one test. `ids` is taken for the same call to do, and not needed: a case that
    fails is named by its number and its values.

    Raises ValueError where there is no case: such a test could not fail. The test raises a group of what its cases
    raised.
    """
    single = isinstance(names, str) and "," not in names
    split = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    table = [_values(case, single) for case in cases]
    if not table:
        raise ValueError(f"case_table({names!r}): expected at least one case, there is none")
    for values in table:
        if len(values) != len(split):
            raise ValueError(f"case_table({names!r}): expected {len(split)} values a case, came {values!r:.200}")

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def of_all(**others: Any) -> None:
            failures: list[BaseException] = []
            for number, values in enumerate(table):
                try:
                    test(**others, **dict(zip(split, values, strict=True)))
                except FAILED as error:
                    shown = ", ".join(f"{name}={value!r:.200}" for name, value in zip(split, values, strict=True))
                    error.add_note(f"case {number}: {shown}")
                    failures.append(error)
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(table)} cases failed", failures)

        signature = inspect.signature(test)
        left = [each for name, each in signature.parameters.items() if name not in split]
        of_all.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]  # what pytest fills
        return of_all

    return decorate


def _values(case: Any, single: bool) -> tuple[Any, ...]:
    if isinstance(case, type_of_param):
        if case.marks:
            raise ValueError(f"case_table: expected cases without marks, came {case!r:.200}; use parametrize")
        return tuple(case.values)
    return (case,) if single else tuple(case)
