"""Fixes taken out again, by name: patches of the product inside a simulated run, never a flag of the product.

So it can be shown that the seeds find a kind of mistake by themselves: with its fix out, a campaign has to fail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

__all__ = ["REVERTS", "Revert", "reverted"]


@dataclass(frozen=True, slots=True)
class Revert:
    """`apply` makes the patch; `finds` are the invariants that must then be found broken."""

    name: str
    what: str
    finds: tuple[str, ...]
    apply: Callable[[], AbstractContextManager[object]]


REVERTS: dict[str, Revert] = {}


@contextlib.contextmanager
def reverted(names: Sequence[str]) -> Iterator[None]:
    """Run with these fixes out. Raises KeyError for an unknown name."""
    with contextlib.ExitStack() as stack:
        for name in names:
            stack.enter_context(REVERTS[name].apply())
        yield
