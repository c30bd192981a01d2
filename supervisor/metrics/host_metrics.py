"""Metrics of a fleet of several hosts, as the host that is scraped sees it. Pure: the status model in, samples out.

Leases are those of the host's own accounts, so that scraping all hosts counts nothing twice. What `host` is a label of
is told by every host alike, as the database has it: take the highest or the lowest of it by host, never a sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from supervisor.metrics.metric_types import LABELS, Json, Kind, Metric, Reader, Sample, number

__all__ = ["HOST_METRICS"]


def _fleet(model: Json) -> Json:
    return model.get("fleet") or {}


def _of_fleet(key: str) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        if (value := number(_fleet(model).get(key))) is not None:
            yield (), value

    return read


def _database(model: Json) -> Iterator[Sample]:
    if fleet := _fleet(model):
        yield (), float(fleet["database"] == "there")


def _away(model: Json) -> Iterator[Sample]:
    if fleet := _fleet(model):
        yield (), number(fleet["away_s"]) or 0.0


def _hosts(model: Json) -> Iterator[Json]:
    """Those that did not end in order."""
    yield from (row for row in _fleet(model).get("hosts", ()) if row["state"] != "down")


def _alive(model: Json) -> Iterator[Sample]:
    yield from (((row["host"],), float(row["state"] != "dead")) for row in _hosts(model))


def _alive_count(model: Json) -> Iterator[Sample]:
    if _fleet(model):
        yield (), float(sum(row["state"] != "dead" for row in _hosts(model)))


def _of_host(key: str, *, alive: bool = True) -> Reader:
    def read(model: Json) -> Iterator[Sample]:
        for row in _hosts(model):
            if (value := number(row.get(key))) is not None and not (alive and row["state"] == "dead"):
                yield (row["host"],), value

    return read


def _own(model: Json) -> Iterator[Json]:
    fleet = _fleet(model)
    yield from (row for row in fleet.get("accounts", ()) if row["host"] == fleet["host"])


def _epoch(model: Json) -> Iterator[Sample]:
    yield from (((row["account"],), float(row["epoch"])) for row in _own(model))


def _left(model: Json) -> Iterator[Sample]:
    seen_s = number(_fleet(model).get("seen_s")) or 0.0
    for row in _own(model):
        if (left_s := number(row["left_s"])) is not None:
            yield (row["account"],), left_s - seen_s


def _states(model: Json) -> Iterator[Sample]:
    if fleet := _fleet(model):
        found = Counter(row["state"] for row in fleet["accounts"])
        yield from (((state,), float(found[state])) for state in sorted(LABELS["lease_state"].values))


def _lapsed(model: Json) -> Iterator[Sample]:
    if fleet := _fleet(model):
        yield (), float(len(fleet["lapsed"]))


def _services(model: Json) -> Iterator[Sample]:
    yield from (((row["service"],), float(row["here"])) for row in _fleet(model).get("services", ()))


GAUGE, COUNTER = Kind.GAUGE, Kind.COUNTER
HOST_METRICS: Final = (
    Metric("gridbot_lease_epoch", GAUGE, "", ("account",),
           "Epoch of the lease of an account that this host has.", "fleet.accounts[].epoch", _epoch),
    Metric("gridbot_lease_left_seconds", GAUGE, "seconds", ("account",),
           "Until the lease of an account of this host ends by the database's clock; below 0 it has ended.",
           "fleet.accounts[].left_s", _left),
    Metric("gridbot_lease_lapsed_accounts", GAUGE, "", (),
           "Accounts of this host whose leases have ended, so that nothing is sent for them.", "fleet.lapsed", _lapsed),
    Metric("gridbot_lease_takeovers_total", COUNTER, "", (),
           "Accounts that came to this host from another one, dead or in order.", "fleet.takeovers",
           _of_fleet("takeovers")),
    Metric("gridbot_fleet_database_up", GAUGE, "", (),
           "1 while the fleet's database answers this host.", "fleet.database", _database),
    Metric("gridbot_fleet_database_away_seconds", GAUGE, "seconds", (),
           "How long it has not answered; 0 while it does.", "fleet.away_s", _away),
    Metric("gridbot_fleet_hosts_alive", GAUGE, "", (),
           "Hosts that live, as this one sees it.", "fleet.hosts[].state", _alive_count),
    Metric("gridbot_fleet_host_up", GAUGE, "", ("host",),
           "1 while a host lives, 0 when it is dead or silent; without one that ended in order.",
           "fleet.hosts[].state", _alive),
    Metric("gridbot_fleet_host_lag_seconds", GAUGE, "seconds", ("host",),
           "Age of what a host has told of itself last.", "fleet.hosts[].lag_s", _of_host("lag_s")),
    Metric("gridbot_fleet_host_records_lag_seconds", GAUGE, "seconds", ("host",),
           "Since when not all that a host has recorded is in the fleet's database.", "fleet.hosts[].records_s",
           _of_host("records_s", alive=False)),
    Metric("gridbot_fleet_host_accounts", GAUGE, "", ("host",),
           "Accounts whose leases a host has.", "fleet.hosts[].accounts", _of_host("accounts")),
    Metric("gridbot_fleet_host_capacity", GAUGE, "", ("host",),
           "Accounts that it takes at most.", "fleet.hosts[].capacity", _of_host("capacity")),
    Metric("gridbot_fleet_leases", GAUGE, "", ("lease_state",),
           "Accounts of the configuration by the state of their lease: held; ends (its time is over, or its host is "
           "dead); free.", "fleet.accounts[].state", _states),
    Metric("gridbot_fleet_service_here", GAUGE, "", ("service",),
           "1 while this host does for all hosts what one of them does.", "fleet.services[].here", _services),
    Metric("gridbot_fleet_configuration_version", GAUGE, "", (),
           "Version of the fleet's configuration that is applied on this host.", "fleet.configuration",
           _of_fleet("configuration")),
    Metric("gridbot_fleet_configuration_in_force", GAUGE, "", (),
           "Version that counts for all hosts.", "fleet.in_force", _of_fleet("in_force")),
)  # fmt: skip
