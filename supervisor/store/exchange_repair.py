"""Has the workers correct what differs from the exchange's transaction log, for `ledger check --exchange --repair`.

A worker owns the records of its account, so it writes the corrections. They are worked out from the database, which is
a moment behind: a worker refuses figures that do not include its last repair, and then the records are compared anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from supervisor.store.exchange_ledger import AccountCheck
from supervisor.store.exchange_views import ViewCheck

__all__ = ["repair_orders", "repair_records"]

AT_ONCE: Final = 250
"""Executions in one command: each is some 400 bytes of it (`LONGEST_LINE`), and of its record."""
ROUNDS: Final = 40
FLUSH_S: Final = 1.0
LOOKS: Final = 10
"""Times that orders are looked at after a repair: what the exchange does not know is asked for twice, 10 s apart."""


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


def repair_orders(
    views: Mapping[str, ViewCheck],
    check: Callable[[], Mapping[str, ViewCheck]],
    correct: Callable[[str, dict[str, str]], str],
    say: Callable[[str], None],
) -> Mapping[str, ViewCheck]:
    """Have the workers ask what became of orders that are recorded as open and do not rest; what `check` finds then.

    `correct` as for `repair_records`. The worker writes the last row of each, once the exchange has told its end.
    """
    asked = False
    for account, found in views.items():
        rows = json.dumps([order.as_row() for order in found.stale[:AT_ONCE]])
        if found.stale:
            try:
                say(f"{account}: {correct(account, {'as_of': '0', 'orders': rows})}")
                asked = True
            except LookupError as error:
                say(f"{account}: not corrected: {error}")
    for _ in range(LOOKS if asked else 0):
        time.sleep(FLUSH_S)
        views = check()
        if not any(found.stale for found in views.values()):
            break
    return views
