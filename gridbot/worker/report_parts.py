"""Parts of a worker's report: its journal, and what it has counted since its start."""

from __future__ import annotations

from typing import Any

from gridbot.worker.orchestrator import Orchestrator

__all__ = ["counted", "journal_figures", "lease_figures"]


def journal_figures(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    """How far journal and database are; `journal_lag_s` and `journal_waits` (bytes) are of what
    is in no file yet."""
    stats = orchestrator.recorder.stats
    return {
        "journal_seq": stats.last_seq,
        "acked_seq": stats.acked_seq,
        "journal_lag_s": round(stats.journal_age_s, 3) if stats.backlog_bytes else 0.0,
        "journal_waits": stats.backlog_bytes,
        "journal_error": stats.journal_error,
        "queue_dropped": stats.queue_dropped,
    }


def lease_figures(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    """Of a fleet of several hosts: the account's epoch, how long its lease holds, and why nothing may be sent."""
    return {"lease": orchestrator.lease_guard.row()}


def counted(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    """The figure `counts`: numbers, lists of numbers, and dicts of these. The supervisor adds to it what earlier
    processes have counted."""
    executor = orchestrator.context.executor
    counts = {
        "stream_reconnects": orchestrator.streams.health.reconnects,
        "trade_socket_reconnects": orchestrator.order_entry.reconnects,
        "orders_sent": executor.creates_sent,
        "queue_dropped": orchestrator.recorder.stats.queue_dropped,
    }
    return {"counts": counts | executor.counts.document() | orchestrator.context.tallies.document()}
