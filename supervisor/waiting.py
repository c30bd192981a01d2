"""Wait for something by looking again and again: the one such loop of the supervisor and its commands."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

Found = TypeVar("Found")


def wait_until(look: Callable[[], Found], *, timeout_s: float, every_s: float) -> Found:
    """The first truthy result of `look`, or its last result once `timeout_s` has passed. Looks at least once."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(every_s)
    return found
