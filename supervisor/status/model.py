"""The status model: what `status --json` and tests see. Pure: facts in, one dict of JSON values out.

Four axes, kept apart:

| axis      | where                         | values                                                              |
|-----------|-------------------------------|---------------------------------------------------------------------|
| process   | `process.state` of each child | STARTING RUNNING BACKOFF STOPPING STOPPED FATAL (children.policy)     |
| health    | `health` of an account        | healthy degraded auth_cooldown circuit_open; null: no report          |
| strategy  | `state` of a strategy         | active paused latched halted reducing; of its symbol: waiting settling |
|           |                               | delisted; null: no report                                             |
| freshness | `freshness` of an account     | active stale offline (offline also when its process does not report)  |

A report shows how things were when it was made. Its ages grow until the next one comes; when that is overdue, a running
child is not healthy, whatever it said last: it may be frozen, and `reasons` says for how long nothing came. Nor is one
healthy that stops.

The model's own `health` and `reasons` sum them up for humans and exit codes: `healthy` only when every process is
RUNNING and every account is healthy and active. `format` changes when a field changes its meaning or goes away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from gridbot.incidents import DELETED, LOST
from supervisor.children.policy_types import ChildState, ProcessState
from supervisor.status.alert_marks import Marks, marked, of_host
from supervisor.utc_time import utc_text

__all__ = [
    "FORMAT",
    "SERVICES",
    "AccountHealth",
    "ChildFacts",
    "Freshness",
    "StrategyState",
    "SupervisorFacts",
    "build_status",
    "incident_row",
]

FORMAT = 1

SERVICES = ("writer", "paper", "web", "notify", "telegram")
"""Keys of the processes beside the workers; of one that does not run here there is nothing."""

NOTHING_SAID = Marks()

LAG_DEGRADED_S = 30.0
"""Seconds the database may be behind the journals before that counts as degraded."""

OVERDUE_S = 1.75
"""Children report each second. A report this many seconds old says nothing about now."""

Json = dict[str, Any]


class AccountHealth(StrEnum):
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    AUTH_COOLDOWN = "auth_cooldown"
    CIRCUIT_OPEN = "circuit_open"


class StrategyState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    LATCHED = "latched"
    HALTED = "halted"
    WAITING = "waiting"
    REDUCING = "reducing"
    SETTLING = "settling"
    DELISTED = "delisted"


class Freshness(StrEnum):
    ACTIVE = "active"
    STALE = "stale"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class ChildFacts:
    """One child as the supervisor sees it. `health` is its newest health message, {} if none of this process."""

    name: str
    state: ChildState
    pid: int | None
    health: Mapping[str, Any]
    last_exit: str = ""
    account: str = ""
    strategies: Sequence[Json] = ()
    by_queue: bool = True
    groups: Sequence[str] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    """What all its processes have counted since the start of the supervisor."""


@dataclass(frozen=True, slots=True)
class SupervisorFacts:
    """The supervisor itself; `state` is starting, running or stopping.

    `requests` is what the accounts share of each exchange, `caps` those of fleet and groups with what is used of them,
    `reasons` what is wrong with either. `marks` is what operators have said about alerts, as of `wall_us` (UTC).
    """

    pid: int
    version: str
    state: str
    uptime_s: float
    data_dir: str
    config: str
    run_id: str
    rss: int
    time: str
    alerts: Sequence[Json] = field(default=())
    incidents: Sequence[Json] = field(default=())
    requests: Sequence[Json] = field(default=())
    caps: Sequence[Json] = field(default=())
    reasons: Sequence[str] = field(default=())
    marks: Marks = NOTHING_SAID
    wall_us: int = 0
    host: str = ""
    """Name of this host in its fleet; empty in none."""
    fleet: Json | None = None
    """The fleet on PostgreSQL that this machine is a host of, as `supervisor.fleet.fleet_section` has it."""
    revision: str = ""
    """What tells its code from others of the same version (`program_revision`)."""
    configuration: Json = field(default_factory=dict)
    """Which is in force: `hash`, `since`, `file_differs`, `waiting`, what of it counts after a restart, and
    `page_commands`, whether the page may give commands."""


def build_status(
    now: float,
    supervisor: SupervisorFacts,
    accounts: Sequence[ChildFacts],
    writer: ChildFacts | None,
    paper: ChildFacts | None,
    *,
    paper_url: str | None,
    web: ChildFacts | None = None,
    notify: ChildFacts | None = None,
    telegram: ChildFacts | None = None,
) -> Json:
    """The whole model. `now` is the clock of the children's states."""
    reasons: list[str] = list(supervisor.reasons)
    rows = [_account(now, facts, reasons) for facts in accounts]
    status: Json = {
        "format": FORMAT,
        "time": supervisor.time,
        "health": "",
        "reasons": reasons,
        "supervisor": {
            "pid": supervisor.pid,
            "version": supervisor.version,
            "revision": supervisor.revision,
            "state": supervisor.state,
            "uptime_s": round(supervisor.uptime_s, 1),
            "rss": supervisor.rss,
            "data_dir": supervisor.data_dir,
            "config": supervisor.config,
            "run_id": supervisor.run_id,
            "configuration": supervisor.configuration,
        },
        "fleet": supervisor.fleet,
        "requests": list(supervisor.requests),
        "caps": list(supervisor.caps),
        "accounts": rows,
        "writer": None if writer is None else _writer(now, writer, accounts, reasons),
        "paper": None if paper is None else _paper(now, paper, paper_url, reasons),
        "web": None if web is None else _web(now, web),
        "notify": None if notify is None else _notify(now, notify),
        "telegram": None if telegram is None else _telegram(now, telegram),
        "incidents": [marked(row, supervisor.marks, supervisor.wall_us) for row in _incidents(supervisor, accounts)],
        "alerts": list(supervisor.alerts),
    }
    reasons += [str(row["text"]) for row in supervisor.incidents if row.get("key") in (DELETED, LOST)]
    status["health"] = AccountHealth.DEGRADED.value if reasons else AccountHealth.HEALTHY.value
    return status


def _incidents(supervisor: SupervisorFacts, accounts: Sequence[ChildFacts]) -> list[Json]:
    """The open incidents: of each account as its worker reports them, then those of the supervisor."""
    rows = [
        (facts.account, row) for facts in accounts if facts.state.alive for row in facts.health.get("incidents", ())
    ]
    shown = [incident_row(account, row) for account, row in [*rows, *(("", row) for row in supervisor.incidents)]]
    return [of_host(row, supervisor.host) for row in shown]


def incident_row(account: str, row: Mapping[str, Any]) -> Json:
    """An incident as `status` shows it, from `Incident.row`; without an account its place is a child."""
    about = "strategy" if account else "child"
    return {
        "account": account,
        "strategy": "",
        "child": "",
        about: row["where"],
        "key": row["key"],
        "cause": row.get("cause", ""),
        "level": row["level"].upper(),
        "since": utc_text(row["began_us"]),
        "count": row["count"],
        "text": row["text"],
    }


def _age(now: float, facts: ChildFacts) -> float:
    """Seconds since its last report."""
    return max(0.0, now - facts.state.last_report)


def _silence(now: float, facts: ChildFacts) -> str:
    """What the lack of a report means for a running child that has reported before; "" when none is overdue."""
    age = _age(now, facts)
    if facts.state.process is not ProcessState.RUNNING or not facts.health or age <= OVERDUE_S:
        return ""
    return f"no report for {age:.0f} s: it hangs, is stopped, or the machine is too busy; what is shown is as old"


def _aged(reported: Mapping[str, Any], keys: Iterable[str], age: float) -> Json:
    """The report with these ages as they are now: they have grown by its own."""
    grown = {key: round(reported[key] + age, 1) for key in keys if reported.get(key) is not None}
    return {**reported, **grown}


def _process(now: float, facts: ChildFacts, reasons: list[str]) -> Json:
    state = facts.state
    if state.process is not ProcessState.RUNNING:
        text = f"{facts.name} is {state.process}" + (f": {state.reason}" if state.reason else "")
        reasons.append(text if state.due is None else f"{text}; next start in {max(0.0, state.due - now):.0f} s")
    return {
        "name": facts.name,
        "state": state.process.value,
        "pid": facts.pid,
        "uptime_s": round(now - state.since, 1) if state.process is ProcessState.RUNNING else None,
        "since_s": round(now - state.since, 1),
        "restarts": state.restarts,
        "rss": facts.health.get("rss") if state.alive else None,
        "reason": state.reason,
        "last_exit": facts.last_exit,
        "next_start_s": None if state.due is None else round(max(0.0, state.due - now), 1),
        "report_age_s": round(now - state.last_report, 1) if state.alive else None,
    }


def _account(now: float, facts: ChildFacts, reasons: list[str]) -> Json:
    reported = _aged(facts.health if facts.state.alive else {}, _ACCOUNT_AGES, _age(now, facts))
    process = _process(now, facts, reasons)
    health, freshness = reported.get("health"), reported.get("freshness", Freshness.OFFLINE.value)
    own = [str(reason) for reason in reported.get("reasons", ())]
    is_running = process["state"] == ProcessState.RUNNING.value
    doubt = _silence(now, facts)
    if not is_running and health == AccountHealth.HEALTHY.value:
        doubt = f"the process is {process['state']}"
    if doubt:
        own.insert(0, doubt)
        health = AccountHealth.DEGRADED.value if health == AccountHealth.HEALTHY.value else health
    if doubt and is_running:
        freshness = Freshness.STALE.value if freshness == Freshness.ACTIVE.value else freshness
    if is_running:
        if health != AccountHealth.HEALTHY.value:
            state = "latched" if health == AccountHealth.CIRCUIT_OPEN.value else health or "not reporting"
            reasons.append(f"{facts.account} is {state}" + (f": {'; '.join(own)}" if own else ""))
        elif freshness != Freshness.ACTIVE.value:
            reasons.append(f"{facts.account}: market data is {freshness}")
    row: Json = {
        "account": facts.account,
        "groups": list(facts.groups),
        "process": process,
        "health": health,
        "freshness": freshness,
        "reasons": own,
        "records": "queue" if facts.by_queue else "journal",
        "counts": dict(facts.counts),
        "strategies": _strategies(facts.strategies, reported.get("strategies", ())),
    }
    return {**dict.fromkeys(_ACCOUNT_FIGURES), **_figures(reported), **row}


_ACCOUNT_FIGURES = (
    "loop_lag_ms",
    "last_tick_age_s",
    "private_age_s",
    "last_reconcile_age_s",
    "journal_seq",
    "acked_seq",
    "queue_dropped",
    "reconnects",
    "order_entry",
    "caps",
    "dead_man",
    "wallet",
    "equity",
    "other_coins",
    "margin_ratio",
)
_ACCOUNT_AGES = ("last_tick_age_s", "private_age_s", "last_reconcile_age_s")
_WRITER_FIGURES = ("lag_s", "rows", "held_by", "held_s", "error", "damage")
_PAPER_FIGURES = ("orders", "trades", "connections", "market")
_OWN_KEYS = frozenset({"type", "pid", "rss", "uptime_s", "state", "run_id", "incidents"})


def _figures(reported: Mapping[str, Any]) -> Json:
    """What a child reports, without what the supervisor knows from elsewhere."""
    return {key: value for key, value in reported.items() if key not in _OWN_KEYS}


def _strategies(configured: Sequence[Json], reported: Sequence[Json]) -> list[Json]:
    """Each configured strategy with what the worker says of it; unreported ones have the state null."""
    by_id = {row.get("strat_id"): row for row in reported}
    rows = [{**row, "state": None, **by_id.pop(row["strat_id"], {})} for row in configured]
    return rows + list(by_id.values())


def _writer(now: float, facts: ChildFacts, accounts: Sequence[ChildFacts], reasons: list[str]) -> Json:
    reported = facts.health if facts.state.alive else {}
    committed = dict(reported.get("committed") or {})
    waiting = {}
    for account in accounts:
        written = account.health.get("journal_seq")
        if isinstance(written, int) and account.account in committed:
            waiting[account.account] = max(0, written - int(committed[account.account]))
    process = _process(now, facts, reasons)
    silence = _silence(now, facts)
    if silence:  # what the workers have recorded since its last report is not in the database either
        reported = _aged(reported, ("lag_s", *(("held_s",) if reported.get("held_by") else ())), _age(now, facts))
        reasons.append(f"{facts.name}: {silence}")
    lag = reported.get("lag_s") or 0.0
    if reported.get("error"):
        reasons.append(f"the writer cannot write: {reported['error']}")
    elif lag > LAG_DEGRADED_S:
        holder = f"; the database is held by {reported['held_by']}" if reported.get("held_by") else ""
        reasons.append(f"the database is {lag:.0f} s behind{holder}")
    if reported.get("damage"):
        reasons.append(str(reported["damage"]))
    own = {"process": process, "committed": committed, "waiting": waiting, "counts": dict(facts.counts)}
    return {**dict.fromkeys(_WRITER_FIGURES), **_figures(reported), **own}


def _paper(now: float, facts: ChildFacts, url: str | None, reasons: list[str]) -> Json:
    reported = facts.health if facts.state.alive else {}
    own = {"process": _process(now, facts, reasons), "url": url}
    silence = _silence(now, facts)
    if silence:
        reasons.append(f"{facts.name}: {silence}")
    return {**dict.fromkeys(_PAPER_FIGURES), **_figures(reported), **own}


def _web(now: float, facts: ChildFacts) -> Json:
    """The page's process; nothing of it is a reason against health."""
    reported = facts.health if facts.state.alive else {}
    return {"process": _process(now, facts, []), "url": reported.get("url"), "viewers": reported.get("viewers")}


def _notify(now: float, facts: ChildFacts) -> Json:
    """The process that tells people of alerts; nothing of it is a reason against health."""
    reported = facts.health if facts.state.alive else {}
    own = {key: reported.get(key) for key in ("routes", "open", "ping")}
    return {"process": _process(now, facts, []), **own}


def _telegram(now: float, facts: ChildFacts) -> Json:
    """The process that is asked and given commands by Telegram; nothing of it is a reason against health."""
    reported = facts.health if facts.state.alive else {}
    own = {key: reported.get(key) for key in ("bot", "users", "commands", "refused", "lost", "problem", "failing_s")}
    return {"process": _process(now, facts, []), **own}
