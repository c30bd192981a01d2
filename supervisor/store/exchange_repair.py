"""Has the workers correct what differs from the exchange's transaction log, for `ledger check --exchange --repair`.

A worker owns the records of its account, so it writes the corrections. They are worked out from the database, which is
a moment behind: a worker refuses figures that do not include its last repair, and then the records are compared anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Final

from supervisor.store.exchange_ledger import AccountCheck

__all__ = ["repair_records"]

AT_ONCE: Final = 500
"""Executions in one command: each is some 300 bytes of it, and of its record."""
ROUNDS: Final = 20
FLUSH_S: Final = 1.0


def repair_records(
    checks: Sequence[AccountCheck],
    check: Callable[[], list[AccountCheck]],
    correct: Callable[[str, dict[str, str]], str],
    say: Callable[[str], None],
) -> Sequence[AccountCheck]:
    """Correct what differs in `checks`, and return what `check` finds afterwards.

    `correct` gives an account the command of that name and says what was done, or raises LookupError.
    """
    for _ in range(ROUNDS):
        differing = [found for found in checks if found.figures]
        if not differing:
            break
        refused = []
        for found in differing:
            figures = json.dumps(found.figures[:AT_ONCE])
            try:
                say(f"{found.account}: {correct(found.account, {'as_of': str(found.as_of), 'figures': figures})}")
            except LookupError as error:
                refused.append(f"{found.account}: not corrected: {error}")
        if len(refused) == len(differing) and not any("again in a moment" in text for text in refused):
            for text in refused:
                say(text)
            break
        time.sleep(FLUSH_S)
        checks = check()
    return checks
