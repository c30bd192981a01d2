"""What `doctor` says of a fleet's database, at the borders of each verdict."""

from __future__ import annotations

from dataclasses import replace

from gridbot.doctor.findings import Verdict
from gridbot.doctor.fleet_findings import CapFact, FleetFacts, fleet_findings
from tests.case_table import case_table

GOOD = FleetFacts("db:5432/fleet", configured=3, versions=("1", "1"))
DATABASE, REPLICATION, HOSTS, HISTORY, CAPS = range(5)
CAP = CapFact("fleet/mainnet", "max_notional: 5.00 of 9.00", (), 0.3)


@case_table(
    ("changes", "row", "verdict", "said"),
    [
        ({}, DATABASE, Verdict.OK, "db:5432/fleet: version 3 of the configuration"),
        ({"missing": ["change leases"]}, DATABASE, Verdict.REFUSED, "may not do what a host does: change leases"),
        ({"forgotten": "alice (7, there 2)"}, DATABASE, Verdict.REFUSED, "db:5432/fleet: alice (7, there 2)"),
        ({"clock_s": 2.4, "clock_wrong_s": 0.5}, DATABASE, Verdict.OK, "+2.4 s"),
        ({"clock_s": -2.6, "clock_wrong_s": 0.5}, DATABASE, Verdict.WARNING, "its clock is -2.6 s from ours"),
        ({"is_superuser": True}, DATABASE, Verdict.WARNING, "superuser"),
        ({"configured": 0}, DATABASE, Verdict.WARNING, "no configuration was pushed yet"),
        ({}, REPLICATION, Verdict.OK, "one server, no standby"),
        ({"standbys": [("b", "sync"), ("c", "async")]}, REPLICATION, Verdict.OK, "b sync, c async"),
        ({"standbys": [("b", "quorum")]}, REPLICATION, Verdict.OK, "b quorum"),
        ({"standbys": [("b", "async")]}, REPLICATION, Verdict.REFUSED, "asynchronous replication to b"),
        ({"standbys": [("b", "potential")]}, REPLICATION, Verdict.REFUSED, "asynchronous replication to b"),
        ({"synchronous_commit": "off"}, REPLICATION, Verdict.REFUSED, "synchronous_commit is off"),
        ({"synchronous_commit": "local"}, REPLICATION, Verdict.REFUSED, "synchronous_commit is local"),
        ({}, HOSTS, Verdict.OK, "every account has a host"),
        ({"dead": ["h2"]}, HOSTS, Verdict.WARNING, "dead: h2"),
        ({"twin": "h1 at ?"}, HOSTS, Verdict.WARNING, "another run has our name: h1 at ?"),
        ({"versions": ["1", "2"]}, HOSTS, Verdict.WARNING, "different versions run: 1, 2"),
        ({"homeless": ["alice"]}, HOSTS, Verdict.WARNING, "without a host: alice"),
        ({}, HISTORY, Verdict.OK, "no history is written"),
        ({"history_elsewhere": "/h"}, HISTORY, Verdict.WARNING, "other hosts write to /h: set fleet.history here"),
        ({"history": "/h", "history_problem": "No such file"}, HISTORY, Verdict.REFUSED, "/h: No such file"),
        ({"history": "/h", "history_behind_s": 21_600.0}, HISTORY, Verdict.OK, "all hosts see the same one"),
        ({"history": "/h", "history_behind_s": 21_601.0}, HISTORY, Verdict.WARNING, "wait for their file for 6 h"),
        ({"caps": [CAP]}, CAPS, Verdict.OK, "fleet/mainnet max_notional: 5.00 of 9.00"),
        ({"caps": [replace(CAP, held=["ann"])]}, CAPS, Verdict.WARNING, "fleet/mainnet holds ann until"),
        ({"caps": [replace(CAP, age_s=6.0)]}, CAPS, Verdict.WARNING, "no host has looked at fleet/mainnet for 6 s"),
        ({"caps": [replace(CAP, age_s=6.0)], "versions": ()}, CAPS, Verdict.OK, "5.00 of 9.00"),
    ],
)
def test_verdicts(changes: dict[str, object], row: int, verdict: Verdict, said: str) -> None:
    found = fleet_findings(replace(GOOD, **changes))[row]  # type: ignore[arg-type]
    assert (found.verdict, found.about) == (verdict, "fleet")
    assert said in found.text


def test_a_database_that_cannot_be_used_is_one_finding() -> None:
    (found,) = fleet_findings(replace(GOOD, problem="expected a database of the fleet 'a', got one of 'b'"))
    assert (found.check, found.verdict) == ("fleet_database", Verdict.REFUSED)
