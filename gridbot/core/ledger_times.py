"""A saved ledger whose times are in the future: brought back, so that nothing is missed and nothing counts twice. Pure.

Up to version a1c99c4 an execution of a far-future time moved the watermarks there: paging began after it, for ever. Now
no time of the exchange is believed that far (`bybit/event_times.py`), but a file may still have one; so may one that
was written while our clock was ahead.

Paging then begins where every execution that was counted is still known by its id. Up to `IDS_KEPT` ids are all there
ever were: it begins at the oldest. Of more, older ones are forgotten, nobody knows when those were made; it begins at
the newest of the older half, since nothing is so much out of order, and what is unknown before counts as counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gridbot.core.counted_ids import IDS_KEPT
from gridbot.core.execution_ledger import OVERLAP_MS

__all__ = ["AHEAD_MS", "brought_back"]

AHEAD_MS = 600_000
"""How far (ms) in the future a time may be: our clock may be behind. It is over by itself."""
WATERMARKS = ("last_exec_ts", "complete_to", "checked_to")


def brought_back(document: Mapping[str, Any], now_ms: int) -> tuple[Mapping[str, Any], str]:
    """The document of a ledger without times after `now_ms` (our clock, UTC) and `AHEAD_MS`, and what was done.

    The same document and "" when there are none. Raises ValueError, LookupError or TypeError for what is no ledger.
    """
    latest_ms = now_ms + AHEAD_MS
    seen = [(each, 0) if isinstance(each, str) else (each[0], each[1]) for each in document["seen"]]
    told_ms = max([document.get(name, 0) for name in WATERMARKS] + [at_ms for _, at_ms in seen] + _times(document))
    if told_ms <= latest_ms:
        return document, ""
    known = [at_ms for _, at_ms in seen if 0 < at_ms <= latest_ms]
    if not known:
        begin_ms = now_ms
    elif len(seen) < IDS_KEPT and all(at_ms for _, at_ms in seen):
        begin_ms = min(known)
    else:
        begin_ms = max(known[: len(known) // 2 + 1])
    complete_to = min(begin_ms + OVERLAP_MS, now_ms)
    changed = {
        **document,
        "last_exec_ts": max(known, default=now_ms),
        "complete_to": min(document.get("complete_to", told_ms), complete_to),
        "checked_to": min(document.get("checked_to", told_ms), complete_to),
        "forgotten_to": begin_ms - 1 if begin_ms in known[:1] else begin_ms,
        "seen": [[exec_id, min(at_ms, latest_ms)] for exec_id, at_ms in seen],
        "legs": [_leg(leg, latest_ms) for leg in document["legs"]],
    }
    return changed, (
        f"it has a time in the future ({_utc(told_ms)}), of the exchange or by a clock of ours that was wrong; "
        f"executions since {_utc(begin_ms)} are read again, and each counts once, by its id; older ones that are "
        "missing are found by the comparison with the exchange's transaction log"
    )


def _times(document: Mapping[str, Any]) -> list[int]:
    """All times of its legs."""
    if document["version"] == 1:
        return []
    found: list[int] = []
    for *_, ((_, _, _, *mark), steps, rows) in document["legs"]:
        found += [*mark[:1], *(step[1] for step in steps), *(row[0] for row in rows)]
    return found


def _leg(leg: list[Any], latest_ms: int) -> list[Any]:
    """A saved leg (`leg_history_text`) with its times bounded; one of version 1 has none."""
    if not isinstance(leg[-1], list):
        return leg
    *key, ((size, cost, folded, *mark), steps, rows) = leg
    return [
        *key,
        [
            [size, cost, folded, *(min(each, latest_ms) for each in mark[:1]), *mark[1:]],
            [[step[0], min(step[1], latest_ms), *step[2:]] for step in steps],
            [[min(row[0], latest_ms), *row[1:]] for row in rows],
        ],
    ]


def _utc(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{at_ms} ms"
