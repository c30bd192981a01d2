"""The health report of a worker, made each second. The supervisor and `status` only pass it on."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gridbot.core import Direction
from gridbot.records.record_types import HealthRecord
from gridbot.risk.holds import Hold
from gridbot.risk.refusals import Refusal
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["OFFLINE_S", "STALE_S", "account_health", "sample_of"]

STALE_S = 30.0
OFFLINE_S = 120.0
LAG_DEGRADED_S = 0.5
RECONCILE_LATE = 3
RETRYING_MAX = 5
ZERO = Decimal(0)


def account_health(orchestrator: Orchestrator, *, state: str, uptime_s: float, pid: int, rss: int) -> dict[str, Any]:
    """The `health` message: JSON-able, money as text in USDT, ages in seconds, sizes in bytes."""
    context = orchestrator.context
    now_s = context.clock.monotonic_s()
    lag_s = orchestrator.clockwork.loop_lag_s
    streams = orchestrator.streams.health
    stats = orchestrator.recorder.stats
    wallet = context.funds.wallet
    tick_age = streams.last_tick_age_s
    reasons = _reasons(orchestrator, now_s)
    return {
        "type": "health",
        "account": context.name,
        "pid": pid,
        "run_id": context.run_id,
        "environment": orchestrator.config.environment,
        "state": state,
        "health": _word(orchestrator, reasons, now_s),
        "reasons": reasons,
        "freshness": _freshness(tick_age),
        "uptime_s": round(uptime_s, 1),
        "rss": rss,
        "loop_lag_ms": round(lag_s * 1000, 1),
        "last_tick_age_s": tick_age,
        "private_age_s": streams.private_age_s,
        "reconnects": streams.reconnects,
        "last_reconcile_age_s": _age(orchestrator.reconciler.last_s, now_s),
        "journal_seq": stats.last_seq,
        "acked_seq": stats.acked_seq,
        "journal_error": stats.journal_error,
        "queue_dropped": stats.queue_dropped,
        "wallet": _text(wallet.wallet_balance if wallet else None),
        "equity": _text(wallet.equity if wallet else None),
        "available": _text(context.funds.available),
        "auth_cooldowns": context.gate.auth.cycles,
        "breakers_open": len(context.gate.breaker.open_until(now_s)),
        "strategies": [_strategy(orchestrator, runner) for runner in orchestrator.runners.values()],
    }


def sample_of(report: Mapping[str, Any]) -> HealthRecord:
    """The part of an `account_health` report that is recorded."""
    return HealthRecord(
        state=report["state"],
        health=report["health"],
        freshness=report["freshness"],
        reasons="; ".join(report["reasons"]),
        rss=report["rss"],
        loop_lag_us=round(report["loop_lag_ms"] * 1000),
        tick_age_ms=_ms(report["last_tick_age_s"]),
        private_age_ms=_ms(report["private_age_s"]),
        reconcile_age_ms=_ms(report["last_reconcile_age_s"]),
        reconnects=report["reconnects"],
        open_orders=sum(strategy["open_orders"] for strategy in report["strategies"]),
        unstored=report["journal_seq"] - report["acked_seq"],
        queue_dropped=report["queue_dropped"],
    )


def _ms(age_s: float | None) -> int | None:
    return None if age_s is None else round(age_s * 1000)


def _word(orchestrator: Orchestrator, reasons: list[str], now_s: float) -> str:
    gate = orchestrator.context.gate
    if gate.loss_latched:
        return "circuit_open"
    if gate.auth.is_cooling(now_s):
        return "auth_cooldown"
    return "degraded" if reasons else "healthy"


def _reasons(orchestrator: Orchestrator, now_s: float) -> list[str]:
    reasons = []
    context = orchestrator.context
    if context.gate.loss_latched:
        reasons.append(context.gate.loss_latched)
    if context.gate.auth.is_cooling(now_s):
        reasons.append("orders paused after repeated authentication errors")
    banned = context.executor.ip_banned_until_s
    if banned is not None and now_s < banned:
        reasons.append(f"the exchange bans this address for {banned - now_s:.0f} s more (403)")
    reasons.extend(orchestrator.streams.problems())
    lag_s = orchestrator.clockwork.loop_lag_s
    if lag_s > LAG_DEGRADED_S:
        reasons.append(f"the loop is {lag_s:.1f} s late")
    interval = orchestrator.settings.order_sync_interval
    age = _age(orchestrator.reconciler.last_s, now_s)
    if interval > 0 and age is not None and age > RECONCILE_LATE * interval:
        reasons.append(f"last reconciled with the exchange {age:.0f} s ago")
    error = orchestrator.recorder.stats.journal_error
    if error:
        reasons.append(f"the journal cannot be written: {error}")
    for runner in orchestrator.runners.values():
        if runner.risk_state.halted:
            reasons.append(f"{runner.strat_id} halted: {runner.risk_state.halted}")
    return reasons


def _freshness(tick_age_s: float | None) -> str:
    if tick_age_s is None or tick_age_s > OFFLINE_S:
        return "offline"
    return "stale" if tick_age_s > STALE_S else "active"


def _strategy(orchestrator: Orchestrator, runner: StrategyRunner) -> dict[str, Any]:
    totals = orchestrator.context.ledger.of(runner.strat_id)
    state, positions, ladder = runner.risk_state, runner.positions, runner.engine.ladder()
    waiting = {reason: n for reason, n in runner.placement.refusals.items() if reason is not Refusal.LEVEL_TAKEN}
    unrealised = sum((positions.unrealised(direction) or ZERO for direction in Direction), ZERO)
    return {
        "strat_id": runner.strat_id,
        "symbol": runner.symbol,
        "mode": "shadow" if runner.is_shadow else "live",
        "state": _state(runner),
        "last_price": _text(state.last_price),
        **{direction.value: _leg(runner, direction) for direction in Direction},
        "open_orders": len(runner.book),
        "levels": len(ladder.levels) if ladder is not None else 0,
        "fills": totals.fills,
        "realised": _text(totals.realised),
        "fees": _text(totals.fees),
        "funding": _text(totals.funding),
        "unrealised": _text(unrealised),
        "rule": runner.sizer.rule,
        "multipliers": {
            direction.value: [_text(m) for m in runner.sizer.multipliers(direction)] for direction in Direction
        },
        "waiting": {str(reason): n for reason, n in waiting.items()},
        "retrying": _retrying(orchestrator, runner),
        "reason": state.halted or state.holds.reason(Hold.PAUSED),
    }


def _retrying(orchestrator: Orchestrator, runner: StrategyRunner) -> list[dict[str, Any]]:
    """Requests that failed and will be tried again, the next one first; a few of them if there are many."""
    items = [item for item in orchestrator.context.retry.items() if runner.book.get(item.key) is not None]
    return [
        {
            "order": item.key,
            "request": "cancel" if item.is_cancel else "create",
            "attempt": item.tries + 1,
            "error": item.last_error,
        }
        for item in sorted(items, key=lambda item: item.due_s)[:RETRYING_MAX]
    ]


def _state(runner: StrategyRunner) -> str:
    if runner.risk_state.halted:
        return "halted"
    if runner.risk_state.paused:
        return "paused"
    return "active"


def _leg(runner: StrategyRunner, direction: Direction) -> dict[str, Any]:
    leg = runner.risk_state.legs[direction]
    return {
        "size": _text(leg.size),
        "entry": _text(leg.entry_price),
        "upnl": _text(runner.positions.unrealised(direction)),
        "liq": _text(runner.positions.liq_price(direction)),
    }


def _age(at_s: float | None, now_s: float) -> float | None:
    return None if at_s is None else round(now_s - at_s, 1)


def _text(value: Decimal | None) -> str | None:
    """Plain digits, at most eight decimals, no trailing zeros."""
    return None if value is None else f"{round(value, 8).normalize():f}"
