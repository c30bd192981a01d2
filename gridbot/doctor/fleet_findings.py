"""What `doctor` says of a fleet on PostgreSQL: facts in, findings out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gridbot.doctor.findings import Finding, Verdict

__all__ = ["CapFact", "FleetFacts", "fleet_findings"]

ABOUT: Final = "fleet"
CLOCK_S: Final = 2.0
HISTORY_S: Final = 6 * 3600.0
LOOK_S: Final = 5.0
"""A cap over hosts is looked at twice a second."""


@dataclass(frozen=True, slots=True)
class CapFact:
    """A scope of caps over hosts: what is used of each cap in words, the accounts held, since when nobody looked."""

    scope: str
    uses: str
    held: Sequence[str]
    age_s: float


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What was read of the fleet's database. `problem`: why it could not be used; empty when it could.

    `missing`: rights that a host needs and our login does not have; `is_superuser`: it has all of them. `clock_s`: its
    clock minus ours, give or take `clock_wrong_s`. `standbys`: of each that is connected its name and sync_state.
    `dead`, `twin`, `versions`, `homeless`: hosts that are dead, another run of our name, versions of the program, and
    accounts without a host. `caps`: of each scope of caps over hosts what is used, whom it holds, and since when no
    host has looked at it. `history`: where this host writes files, "" nowhere; `history_problem`: why it cannot;
    `history_behind_s`: for how long a record waits for its file; `history_elsewhere`: where the others write, when this
    host does not. `forgotten`: which leases of this host the database does not know any more, as a sentence.
    """

    server: str
    problem: str = ""
    missing: Sequence[str] = ()
    is_superuser: bool = False
    clock_s: float = 0.0
    clock_wrong_s: float = 0.0
    synchronous_commit: str = "on"
    standbys: Sequence[tuple[str, str]] = ()
    configured: int = 0
    dead: Sequence[str] = ()
    twin: str = ""
    versions: Sequence[str] = ()
    homeless: Sequence[str] = ()
    history: str = ""
    history_problem: str = ""
    history_behind_s: float = 0.0
    history_elsewhere: str = ""
    caps: Sequence[CapFact] = ()
    forgotten: str = ""


def fleet_findings(facts: FleetFacts) -> list[Finding]:
    """The rows of a fleet."""
    if facts.problem:
        return [Finding("fleet_database", Verdict.REFUSED, facts.problem, ABOUT)]
    caps = [_caps(facts)] if facts.caps else []
    return [_database(facts), _replication(facts), _hosts(facts), _history(facts), *caps]


def _database(facts: FleetFacts) -> Finding:
    def finding(verdict: Verdict, text: str) -> Finding:
        return Finding("fleet_database", verdict, f"{facts.server}: {text}", ABOUT)

    if facts.missing:
        what = ", ".join(facts.missing)
        return finding(Verdict.REFUSED, f"our login may not do what a host does: {what}; grant it gridbot_host")
    if facts.forgotten:
        return finding(Verdict.REFUSED, facts.forgotten)
    doubts = []
    if abs(facts.clock_s) - facts.clock_wrong_s > CLOCK_S:
        doubts.append(f"its clock is {facts.clock_s:+.1f} s from ours: set both by NTP")
    if facts.is_superuser:
        doubts.append(
            "our login is a superuser: name another one in the host's DSN; fleet init --admin-dsn-file makes it, with "
            "the rights of a host alone"
        )
    if not facts.configured:
        doubts.append("no configuration was pushed yet")
    if doubts:
        return finding(Verdict.WARNING, "; ".join(doubts))
    return finding(Verdict.OK, f"version {facts.configured} of the configuration, its clock {facts.clock_s:+.1f} s")


def _replication(facts: FleetFacts) -> Finding:
    wrong = [name for name, state in facts.standbys if state not in ("sync", "quorum")]
    commit = facts.synchronous_commit
    if wrong and len(wrong) == len(facts.standbys):
        text = (
            f"asynchronous replication to {', '.join(wrong)}: a failover would forget leases that were granted, and "
            "two hosts would trade one account; set synchronous_standby_names"
        )
        return Finding("fleet_replication", Verdict.REFUSED, text, ABOUT)
    if commit not in ("on", "remote_apply", "remote_write") or (facts.standbys and commit == "remote_write"):
        text = f"synchronous_commit is {commit}: a crash would forget leases that were granted; set it to on"
        return Finding("fleet_replication", Verdict.REFUSED, text, ABOUT)
    told = ", ".join(f"{name} {state}" for name, state in facts.standbys) or "one server, no standby"
    return Finding("fleet_replication", Verdict.OK, f"{told}, synchronous_commit {commit}", ABOUT)


def _hosts(facts: FleetFacts) -> Finding:
    doubts = []
    if facts.dead:
        doubts.append(f"dead: {', '.join(facts.dead)} (fleet forget removes one that has left for good)")
    if facts.twin:
        doubts.append(f"another run has our name: {facts.twin}")
    if len(set(facts.versions)) > 1:
        doubts.append(f"different versions run: {', '.join(sorted(set(facts.versions)))}")
    if facts.homeless:
        doubts.append(f"without a host: {', '.join(facts.homeless)}")
    if doubts:
        return Finding("fleet_hosts", Verdict.WARNING, "; ".join(doubts), ABOUT)
    return Finding("fleet_hosts", Verdict.OK, "every account has a host, and no host is dead", ABOUT)


def _history(facts: FleetFacts) -> Finding:
    def finding(verdict: Verdict, text: str) -> Finding:
        return Finding("fleet_history", verdict, text, ABOUT)

    if not facts.history:
        if facts.history_elsewhere:
            there = f"other hosts write to {facts.history_elsewhere}"
            do = "set fleet.history here, or its rows stay in PostgreSQL"
            return finding(Verdict.WARNING, f"this host writes no history, {there}: {do}")
        return finding(Verdict.OK, "no history is written (fleet.history)")
    if facts.history_problem:
        return finding(Verdict.REFUSED, f"{facts.history}: {facts.history_problem}")
    if facts.history_behind_s > HISTORY_S:
        behind = f"records wait for their file for {facts.history_behind_s / 3600:.0f} h"
        return finding(Verdict.WARNING, f"{facts.history}: {behind}; the log of that host's writer says why")
    return finding(Verdict.OK, f"{facts.history}: written to, and all hosts see the same one")


def _caps(facts: FleetFacts) -> Finding:
    doubts = []
    for cap in facts.caps:
        if cap.held:
            doubts.append(f"{cap.scope} holds {', '.join(cap.held)} until they are resumed")
        if facts.versions and cap.age_s > LOOK_S:
            doubts.append(f"no host has looked at {cap.scope} for {cap.age_s:.0f} s: see trouble in fleet status")
    if doubts:
        return Finding("fleet_caps", Verdict.WARNING, "; ".join(doubts), ABOUT)
    return Finding("fleet_caps", Verdict.OK, "; ".join(f"{cap.scope} {cap.uses}" for cap in facts.caps), ABOUT)
