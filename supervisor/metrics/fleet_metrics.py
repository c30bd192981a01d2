"""Metrics of processes, database, request budget, caps and incidents. Pure: the status model in, samples out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from supervisor.children.policy_types import ProcessState
from supervisor.metrics.metric_types import LABELS, Json, Kind, Metric, Reader, Sample, number, one_of
from supervisor.status.model import SERVICES

__all__ = ["FLEET_METRICS", "UP"]


def _processes(model: Json) -> Iterator[Json]:
    for part in (*model["accounts"], *(model.get(name) for name in SERVICES)):
        if part and part.get("process"):
            yield part["process"]


def _of_process(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        if key in ("rss", "uptime_s"):
            yield ("supervisor",), number(model["supervisor"][key]) or 0.0
        for process in _processes(model):
            if (value := number(process.get(key))) is not None:
                yield (process["name"],), value

    return read


def _process_states(model: Json) -> Iterator[Sample]:
    resting = {row["service"] for row in (model.get("fleet") or {}).get("services", ()) if not row["here"]}
    for process in _processes(model):
        if process["name"] in resting and process["state"] == ProcessState.STOPPED.value:
            continue  # another host of the fleet has it run
        for word in ProcessState:
            yield (process["name"], word.value), float(word.value == process["state"])


def _writer(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        if (value := number((model.get("writer") or {}).get(key))) is not None:
            yield (), value

    return read


def _written(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        counts = (model.get("writer") or {}).get("counts") or {}
        if (value := number(counts.get(key))) is not None:
            yield (), value

    return read


def _problem(model: Json) -> Iterator[Sample]:
    if writer := model.get("writer"):
        yield (), float(bool(writer.get("error") or writer.get("damage")))


def _requests(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in model.get("requests") or ():
            if (value := number(row.get(key))) is not None:
                yield (row["exchange"],), value

    return read


def _permits(model: Json) -> Iterator[Sample]:
    for row in model.get("requests") or ():
        for use in sorted(LABELS["use"].values):
            if (value := number(row.get(use))) is not None:
                yield (row["exchange"], use), value


def _fleet_caps(model: Json) -> Iterator[Sample]:
    for row in model.get("caps") or ():
        if (value := number(row.get("share"))) is not None:
            yield (row["scope"], one_of("cap", row["cap"])), value


def _money(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in model.get("caps") or ():
            if (value := number(row.get(key))) is not None:
                yield (row["scope"], one_of("cap", row["cap"])), value

    return read


def _may_use(model: Json) -> Iterator[Sample]:
    for row in model.get("caps") or ():
        here = (row.get("here") or {}).get("reserved")
        if row["cap"] == "max_notional" and (value := number(here)) is not None:
            yield (row["scope"],), value


def _held(model: Json) -> Iterator[Sample]:
    held: dict[str, int] = {}
    for row in model.get("caps") or ():
        held[row["scope"]] = len(row.get("held") or ())
    yield from (((scope,), float(count)) for scope, count in held.items())


def _incidents(model: Json) -> Iterator[Sample]:
    found = Counter(one_of("level", row["level"]) for row in model.get("incidents") or ())
    for level in sorted(LABELS["level"].values | found.keys()):
        yield (level,), float(found[level])


def _bare(read: Callable[[Json], Any]) -> Reader:
    return lambda model: [((), float(read(model)))]


GAUGE, COUNTER = Kind.GAUGE, Kind.COUNTER
UP: Final = Metric(
    "gridbot_up", GAUGE, "", (),
    "1 while the supervisor answers; 0, and nothing else, while it does not.", "whether there is a model",
    lambda model: [((), 1.0)],
)  # fmt: skip
FLEET_METRICS: Final = (
    Metric("gridbot_info", GAUGE, "", ("version",),
           "Always 1; its label says which version runs.", "supervisor.version",
           lambda model: [((str(model["supervisor"]["version"]),), 1.0)]),
    Metric("gridbot_healthy", GAUGE, "", (),
           "1 while every process runs and every account is healthy and active.", "health",
           _bare(lambda model: model["health"] == "healthy")),
    Metric("gridbot_process_state", GAUGE, "", ("process", "process_state"),
           "1 for the state that a process of the fleet is in, 0 for the others.", "*.process.state", _process_states),
    Metric("gridbot_process_uptime_seconds", GAUGE, "seconds", ("process",),
           "Since a process began to run; without one that does not run.", "*.process.uptime_s",
           _of_process("uptime_s")),
    Metric("gridbot_process_resident_memory_bytes", GAUGE, "bytes", ("process",),
           "Memory that a process has (resident set).", "*.process.rss", _of_process("rss")),
    Metric("gridbot_process_report_age_seconds", GAUGE, "seconds", ("process",),
           "Age of its newest report; they come each second.", "*.process.report_age_s",
           _of_process("report_age_s")),
    Metric("gridbot_process_restarts_total", COUNTER, "", ("process",),
           "Times that it was started again after it had failed.", "*.process.restarts", _of_process("restarts")),
    Metric("gridbot_database_lag_seconds", GAUGE, "seconds", (),
           "How far the database is behind the journals.", "writer.lag_s", _writer("lag_s")),
    Metric("gridbot_database_held_seconds", GAUGE, "seconds", (),
           "How long another program has held the database; 0 while none does.", "writer.held_s", _writer("held_s")),
    Metric("gridbot_database_problem", GAUGE, "", (),
           "1 while the database cannot be written, or is damaged.", "writer.error, writer.damage", _problem),
    Metric("gridbot_database_rows_total", COUNTER, "", (),
           "Rows that were written.", "writer.counts.rows", _written("rows")),
    Metric("gridbot_database_commits_total", COUNTER, "", (),
           "Transactions that were written.", "writer.counts.flushes", _written("flushes")),
    Metric("gridbot_database_rejects_total", COUNTER, "", (),
           "Records that the database did not take.", "writer.counts.rejects", _written("rejects")),
    Metric("gridbot_request_limit", GAUGE, "", ("exchange",),
           "HTTP requests that an exchange may be sent from our address within 5 seconds.", "requests[].limit",
           _requests("limit")),
    Metric("gridbot_request_permits", GAUGE, "", ("exchange", "use"),
           "Permits for these requests: lent to workers, to commands beside them, and free.",
           "requests[].lent, guests, free", _permits),
    Metric("gridbot_request_ban_seconds", GAUGE, "seconds", ("exchange",),
           "How long the exchange has banned our address for still; 0 for not.", "requests[].banned_s",
           _requests("banned_s")),
    Metric("gridbot_cap_used_ratio", GAUGE, "ratio", ("scope", "cap"),
           "Share of each cap of the fleet or a group that is used; at 1 it acts.", "caps[].share", _fleet_caps),
    Metric("gridbot_cap_used_usdt", GAUGE, "usdt", ("scope", "cap"),
           "What is used of a cap of the fleet or a group; of a fleet on PostgreSQL, by all hosts.", "caps[].used",
           _money("used")),
    Metric("gridbot_cap_limit_usdt", GAUGE, "usdt", ("scope", "cap"),
           "The cap.", "caps[].limit", _money("limit")),
    Metric("gridbot_cap_host_usdt", GAUGE, "usdt", ("scope",),
           "What this host of a fleet on PostgreSQL may use of a cap on notional.", "caps[].here.reserved", _may_use),
    Metric("gridbot_cap_held_accounts", GAUGE, "", ("scope",),
           "Accounts that a cap of the fleet or a group holds.", "caps[].held", _held),
    Metric("gridbot_incidents", GAUGE, "", ("level",),
           "Open incidents, by level.", "incidents[].level", _incidents),
)  # fmt: skip
