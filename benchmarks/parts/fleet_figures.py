"""Figures of a fleet from what it has left: its records, and the kernel's word on its memory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supervisor.store.query import Limits, ask

__all__ = [
    "decisions",
    "kinds_of_requests",
    "loop_lags",
    "orders_of_accounts",
    "pss_mb",
    "recoveries",
    "refusals",
    "requests_of_accounts",
    "spread",
    "trading_after",
]

PATIENT = Limits(wait_s=60.0)
Kill = tuple[str, float]
"""An account, and when its worker was killed (seconds since 1970)."""


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """p50, p99 and the largest of some values; empty for none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    places = {name: min(len(ordered) - 1, int(len(ordered) * share)) for name, share in at.items()}
    return {name: round(ordered[place], digits) for name, place in places.items()}


def pss_mb(pids: Mapping[str, int]) -> dict[str, Any]:
    """Memory of the workers (spread) and of each other process, in MB."""
    sizes = {name: _pss(pid) / 1e6 for name, pid in pids.items()}
    workers = [size for name, size in sizes.items() if name.startswith("worker-")]
    others = {name: round(size, 1) for name, size in sizes.items() if not name.startswith("worker-")}
    return {"worker": spread(workers, 1), **others, "all": round(sum(sizes.values()), 1)}


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def recoveries(data_dir: Path, kills: Sequence[Kill]) -> list[float]:
    """Seconds from each kill to the first complete comparison with the exchange after it."""
    found = []
    for account, killed in kills:
        sql = (
            "SELECT min(epoch(local_ts)) FROM reconciles WHERE reason = 'start' AND ok "
            f"AND account = '{account}' AND epoch(local_ts) > {killed!r}"
        )
        [(back,)] = ask(data_dir, sql, PATIENT).rows
        if back is not None:
            found.append(float(back) - killed)
    return found


def trading_after(data_dir: Path, began: float) -> dict[str, float]:
    """Seconds from the start of the command to the first order of each account."""
    rows = ask(data_dir, "SELECT account, min(epoch(local_ts)) FROM orders GROUP BY account", PATIENT).rows
    return spread([float(first) - began for _, first in rows])


def decisions(data_dir: Path, until: float) -> dict[str, float]:
    """Milliseconds from a price to the record of the order that it caused."""
    sql = (
        "SELECT 1000 * (epoch(local_ts) - epoch(exchange_ts)) FROM intents WHERE action = 'place' "
        f"AND verdict = 'sent' AND exchange_ts IS NOT NULL AND epoch(local_ts) < {until!r}"
    )
    values = [float(row[0]) for row in ask(data_dir, sql, PATIENT).rows]
    return {**spread(values), "count": len(values)}


def loop_lags(data_dir: Path, until: float) -> dict[str, float]:
    """How late the workers' loops were, in milliseconds, of all their samples while they traded."""
    sql = f"SELECT loop_lag_us / 1000 FROM health_samples WHERE state = 'trading' AND epoch(local_ts) < {until!r}"
    return spread([float(row[0]) for row in ask(data_dir, sql, PATIENT).rows])


def orders_of_accounts(data_dir: Path, until: float) -> dict[str, float]:
    """How many orders the accounts sent: the least and the most busy one."""
    sql = (
        "SELECT count(DISTINCT order_link_id) FROM orders WHERE NOT shadow AND attempt > 0 "
        f"AND epoch(local_ts) < {until!r} GROUP BY account ORDER BY 1"
    )
    counts = [int(row[0]) for row in ask(data_dir, sql, PATIENT).rows]
    return {"least": counts[0], "most": counts[-1], "all": sum(counts)} if counts else {}


def requests_of_accounts(probe: Path, accounts: Sequence[str], since: float, until: float) -> dict[str, float]:
    """HTTP requests of the accounts within a time (seconds since 1970), as `fleet_probe` counted them in the exchange.

    `ratio` is the most of an account by the least of one.
    """
    counts: Counter[str] = Counter()
    for file in probe.glob("requests-*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if since <= row["at"] <= until:
                counts.update(row["counts"])
    each = sorted(counts[f"paper-{account}"] for account in accounts)
    figures: dict[str, float] = {"least": each[0], "most": each[-1], "all": sum(each)}
    return {**figures, "ratio": round(each[-1] / each[0], 2)} if each[0] else figures


def kinds_of_requests(probe: Path, since: float, until: float) -> dict[str, int]:
    """What the exchange was asked within a time, by "account endpoint way"; "403": by a banned address."""
    counts: Counter[str] = Counter()
    for file in probe.glob("requests-*"):
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if since <= row["at"] <= until:
                counts.update(row.get("kinds", {}))
    return dict(counts)


def refusals(data_dir: Path, until: float) -> dict[str, int]:
    """How often the exchange refused an order, by its code."""
    sql = (
        "SELECT ret_code, count(*) FROM orders WHERE coalesce(ret_code, 0) <> 0 "
        f"AND epoch(local_ts) < {until!r} GROUP BY ret_code ORDER BY 1"
    )
    return {str(code): int(count) for code, count in ask(data_dir, sql, PATIENT).rows}
