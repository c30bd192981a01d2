"""Several patches as one."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["together"]


def together(*patches: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
    """All of these, in this order, until the block ends."""
    stack = contextlib.ExitStack()
    for patch in patches:
        stack.enter_context(patch)
    return stack
