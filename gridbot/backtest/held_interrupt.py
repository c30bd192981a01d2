"""Ctrl-C during a run: kept until a moment at which its records are whole. At any other it ended the program between
two of them, and a transaction with thousands was lost while those after it were kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

__all__ = ["held_interrupt"]


@contextlib.contextmanager
def held_interrupt() -> Iterator[Callable[[], None]]:
    """Keep the first Ctrl-C until what is given is called, which raises KeyboardInterrupt for it, once. A second one
    raises at once.

    Where somebody else decides about Ctrl-C, or in another thread than the main one, nothing is changed.
    """
    kept: list[int] = []
    raised: list[int] = []

    def keep(number: int, _: object) -> None:
        if kept:
            raise KeyboardInterrupt
        kept.append(number)

    def look() -> None:
        if kept and not raised:
            raised.append(kept[0])
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield look
        return
    signal.signal(signal.SIGINT, keep)
    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
