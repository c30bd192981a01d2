"""The health report of a worker, made each second. The supervisor and `status` only pass it on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from gridbot.core import Direction, WalletEvent
from gridbot.records.record_types import HealthRecord
from gridbot.risk.brake import Stops
from gridbot.risk.holds import Hold
from gridbot.risk.obstacles import of_account
from gridbot.risk.refusals import Refusal
from gridbot.risk.symbol_state import Allows, SymbolWord
from gridbot.worker.band_words import band_words, learnt_words
from gridbot.worker.orchestrator import Orchestrator
from gridbot.worker.report_parts import counted, journal_figures, lease_figures
from gridbot.worker.schedule import JobKind
from gridbot.worker.startup import RefusedStrategy
from gridbot.worker.strategy_runner import StrategyRunner

__all__ = ["OFFLINE_S", "STALE_S", "account_health", "sample_of"]

STALE_S = 30.0
OFFLINE_S = 120.0
LAG_DEGRADED_S = 0.5
RECONCILE_LATE = 3
RETRYING_MAX = 5
ZERO = Decimal(0)


def account_health(orchestrator: Orchestrator, *, state: str, uptime_s: float, pid: int, rss: int) -> dict[str, Any]:
    """The `health` message: JSON-able, money as text in USDT, ages in seconds, sizes in bytes.

    It is made in parts. One that raises is reported, leaves its figures out (null), and is one more of the `reasons`.
    """
    context = orchestrator.context
    now_s = context.clock.monotonic_s()
    report: dict[str, Any] = {
        "type": "health",
        "account": context.name,
        "pid": pid,
        "run_id": context.run_id,
        "environment": orchestrator.config.environment,
        "state": state,
        "health": "degraded",
        "reasons": [],
        "uptime_s": round(uptime_s, 1),
        "rss": rss,
        "strategies": [],
        **_FIGURES,
    }
    broken: list[str] = []

    def part(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return make()
        except Exception as error:  # noqa: BLE001 - reported with its traceback
            context.faults.report(f"the figures about {name}", error)
            broken.append(f"the figures about {name} could not be made")
            return {}

    for name, figures in _PARTS.items():
        report.update(part(name, partial(figures, orchestrator, now_s)))
    for runner in orchestrator.runners.values():
        row = part(runner.strat_id, partial(_strategy, orchestrator, runner))
        report["strategies"].append(row or {"strat_id": runner.strat_id, "symbol": runner.symbol, "open_orders": 0})
    for refused in orchestrator.refused:
        report["strategies"].append(_refused(refused, orchestrator.refused.held(refused.strat_id)))
    reasons = part("what is wrong", lambda: {"reasons": _reasons(orchestrator, now_s)}).get("reasons", [])
    report["reasons"] = [*reasons, *broken]
    report.update(part("the health", lambda: {"health": _word(orchestrator, report["reasons"], now_s)}))
    return report


def _streams(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    streams = orchestrator.streams.health
    return {
        "freshness": _freshness(streams.last_tick_age_s) if orchestrator.runners else "active",
        "last_tick_age_s": streams.last_tick_age_s,
        "private_age_s": streams.private_age_s,
        "reconnects": streams.reconnects,
    }


def _entry(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    """By which way orders leave, and the trade socket: its state is null where none is wanted."""
    entry = orchestrator.order_entry
    return {
        "order_entry": {
            "way": entry.way.value,
            "socket": None if entry.state is None else entry.state.value,
            "down_s": round(entry.down_s, 1),
            "reconnects": entry.reconnects,
            "error": entry.error,
        }
    }


def _clock(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    return {
        "loop_lag_ms": round(orchestrator.clockwork.loop_lag_s * 1000, 1),
        "last_reconcile_age_s": _age(orchestrator.reconciler.last_s, now_s),
    }


def _money(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    funds = orchestrator.context.funds
    wallet = funds.wallet
    return {
        "wallet": _text(wallet.wallet_balance if wallet else None),
        "equity": _text(wallet.equity if wallet else None),
        "available": _text(funds.available),
        "margin_ratio": _text(wallet.account_mm_rate if wallet else None),
        "other_coins": _other_coins(wallet),
    }


def _other_coins(wallet: WalletEvent | None) -> dict[str, dict[str, str | None]]:
    """What the wallet has besides USDT, and what that is worth in USD."""
    others = [each for each in wallet.others if each.balance] if wallet is not None else []
    return {each.coin: {"balance": _text(each.balance), "usd": _text(each.usd_value)} for each in others}


def _caps(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    """Each cap of the account with what is used of it (`CapGuard.rows`), and whether `dead_man` is set."""
    return {"caps": orchestrator.caps.rows(), "dead_man": orchestrator.dead_man.row()}


def _incidents(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    return {"incidents": orchestrator.context.alert.rows()}


def _limits(orchestrator: Orchestrator, now_s: float) -> dict[str, Any]:
    gate = orchestrator.context.gate
    return {"auth_cooldowns": gate.auth.cycles, "breakers_open": len(gate.breaker.open_until(now_s))}


_PARTS: Mapping[str, Callable[[Orchestrator, float], dict[str, Any]]] = {
    "the streams": _streams,
    "the order entry": _entry,
    "the clock": _clock,
    "the journal": journal_figures,
    "the money": _money,
    "the limits": _limits,
    "the caps": _caps,
    "the lease": lease_figures,
    "the alerts": _incidents,
    "the counts": counted,
}
_FIGURES: Mapping[str, Any] = {
    "freshness": "offline",
    "loop_lag_ms": None,
    "last_tick_age_s": None,
    "private_age_s": None,
    "reconnects": None,
    "order_entry": None,
    "last_reconcile_age_s": None,
    "journal_seq": None,
    "acked_seq": None,
    "journal_lag_s": None,
    "journal_waits": None,
    "journal_error": None,
    "queue_dropped": None,
    "wallet": None,
    "equity": None,
    "available": None,
    "margin_ratio": None,
    "other_coins": None,
    "auth_cooldowns": None,
    "breakers_open": None,
    "caps": (),
    "dead_man": None,
    "lease": None,
    "incidents": (),
    "counts": None,
}
"""Every figure of the parts, as it is when its part could not be made."""


def sample_of(report: Mapping[str, Any]) -> HealthRecord:
    """The part of an `account_health` report that is recorded."""
    return HealthRecord(
        state=report["state"],
        health=report["health"],
        freshness=report["freshness"],
        reasons="; ".join(report["reasons"]),
        rss=report["rss"],
        loop_lag_us=round((report["loop_lag_ms"] or 0.0) * 1000),
        tick_age_ms=_ms(report["last_tick_age_s"]),
        private_age_ms=_ms(report["private_age_s"]),
        reconcile_age_ms=_ms(report["last_reconcile_age_s"]),
        reconnects=report["reconnects"] or 0,
        open_orders=sum(strategy["open_orders"] for strategy in report["strategies"]),
        unstored=(report["journal_seq"] or 0) - (report["acked_seq"] or 0),
        queue_dropped=report["queue_dropped"] or 0,
    )


def _ms(age_s: float | None) -> int | None:
    return None if age_s is None else round(age_s * 1000)


def _word(orchestrator: Orchestrator, reasons: list[str], now_s: float) -> str:
    gate = orchestrator.context.gate
    if gate.loss_latched or gate.latched or gate.brake.stops is Stops.ALL:
        return "circuit_open"
    if gate.auth.is_cooling(now_s):
        return "auth_cooldown"
    return "degraded" if reasons else "healthy"


def _reasons(orchestrator: Orchestrator, now_s: float) -> list[str]:
    context = orchestrator.context
    reasons = [why.told(now_s) for why in of_account(context.gate, context.executor.ban, now_s).values()]
    if context.address is not None and (late := context.address.why_late()):
        reasons.append(late)
    reasons.extend(orchestrator.caps.reasons())
    if orchestrator.lease_guard.why:
        reasons.append(orchestrator.lease_guard.why)
    if orchestrator.dead_man.refused:
        reasons.append(orchestrator.dead_man.refused)
    reasons.extend(orchestrator.files.reasons)
    reasons.extend(orchestrator.notices.reasons)
    reasons.extend(orchestrator.streams.problems())
    if problem := orchestrator.order_entry.problem:
        reasons.append(problem)
    lag_s = orchestrator.clockwork.loop_lag_s
    if lag_s > LAG_DEGRADED_S:
        reasons.append(f"the loop is {lag_s:.1f} s late")
    interval = orchestrator.settings.order_sync_interval
    age = _age(orchestrator.reconciler.last_s, now_s)
    if interval > 0 and age is not None and age > RECONCILE_LATE * interval:
        reasons.append(f"last reconciled with the exchange {age:.0f} s ago")
    if orchestrator.reconciler.behind:
        reasons.append(orchestrator.reconciler.behind)
    # A comparison that fails is told above, at once.
    reasons += [text for kind, text in context.jobs.failing().items() if kind != JobKind.RECONCILE]
    if orchestrator.records.standstill.why:
        reasons.append(orchestrator.records.standstill.why)
    if not context.generations.available(1):
        reasons.append("no number for a new order can be reserved: the disk does not take generation.json")
    error = orchestrator.recorder.stats.journal_error
    if error:
        reasons.append(f"the journal cannot be written: {error}")
    reasons += _blocked(orchestrator)
    reasons.extend(f"{each.strat_id} halted: {each.reason}" for each in orchestrator.refused if not each.waits)
    for runner in orchestrator.runners.values():
        if learnt := _learnt(runner, now_s):
            reasons.append(learnt)
        if runner.risk_state.halted:
            reasons.append(f"{runner.strat_id} halted: {runner.risk_state.halted}")
        symbol = runner.risk_state.symbol_watch.state
        if symbol.allows is not Allows.ALL:
            reasons.append(f"{runner.strat_id}: {symbol.text}")
        cut = [direction.value for direction, leg in runner.risk_state.legs.items() if leg.reduce_only]
        if cut:
            reasons.append(f"{runner.strat_id}: the exchange lets its {' and '.join(cut)} only be reduced")
        unsure = [direction.value for direction, leg in runner.risk_state.legs.items() if leg.unsure]
        if unsure:
            reasons.append(f"{runner.strat_id}: the exchange contradicts its {' and '.join(unsure)} position")
    return reasons


def _blocked(orchestrator: Orchestrator) -> list[str]:
    """What of each strategy does not get through; before them, when none of them has anything that does."""
    live = orchestrator.live.values()
    found = [text for text in map(_blocked_of(orchestrator), live) if text]
    account = "nothing gets through on this account: every order of its strategies is refused"
    return [account, *found] if len(found) == len(live) > 1 else found


def _blocked_of(orchestrator: Orchestrator) -> Callable[[StrategyRunner], str]:
    passage = orchestrator.context.passage
    return lambda runner: passage.blocked(runner.book, runner.strat_id)


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
        "other_fees": {coin: _text(fee) for coin, fee in totals.other_fees.items() if fee},
        "unrealised": _text(unrealised),
        "rule": runner.sizer.rule,
        "multipliers": {
            direction.value: [_text(m) for m in runner.sizer.multipliers(direction)] for direction in Direction
        },
        "waiting": {str(reason): n for reason, n in waiting.items()},
        "retrying": _retrying(orchestrator, runner),
        "reason": _reason(orchestrator, runner),
    }


def _reason(orchestrator: Orchestrator, runner: StrategyRunner) -> str:
    """Why a strategy does not trade as it should; what stops the whole account when nothing of its own does.

    A shadow strategy asks a gate of its own, and sends nothing that a ban could stop.
    """
    state, context = runner.risk_state, orchestrator.context
    ban = None if runner.is_shadow else context.executor.ban
    now_s = context.clock.monotonic_s()
    account = of_account(runner.gate, ban, now_s).values()
    return (
        state.halted
        or state.latched
        or state.holds.reason(Hold.PAUSED)
        or state.reducing
        or state.symbol_watch.state.text
        or _blocked_of(orchestrator)(runner)
        or "; ".join(reason.told(now_s) for reason in account)
        or band_words(runner.strat_id, runner.instrument, runner.placement.refused, _learnt(runner, now_s))
    )


def _learnt(runner: StrategyRunner, now_s: float) -> str:
    return learnt_words(runner.strat_id, runner.instrument, runner.gate.breaker, now_s)


def _refused(refused: RefusedStrategy, held: str) -> dict[str, Any]:
    """A strategy that could not start; `held` is what holds it besides."""
    return {
        "strat_id": refused.strat_id,
        "symbol": refused.symbol,
        "state": "waiting" if refused.waits else "halted",
        "reason": f"{refused.reason}; it begins {held}" if held else refused.reason,
        "open_orders": 0,
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
    if runner.risk_state.latched or runner.gate.latched:
        return "latched"
    if runner.risk_state.paused:
        return "paused"
    if runner.risk_state.reducing:
        return SymbolWord.REDUCING.value
    word = runner.risk_state.symbol_watch.state.word
    if word is not SymbolWord.TRADING:
        return word.value
    cut = runner.gate.brake.stops is Stops.OPENS or all(leg.reduce_only for leg in runner.risk_state.legs.values())
    return SymbolWord.REDUCING.value if cut else "active"


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
