"""Caps of a whole fleet over real processes: a latch holds all in seconds, also who does not answer, over deaths."""

from __future__ import annotations

import signal

import pytest

from .conftest import DEMO

pytestmark = pytest.mark.system

FLEET = """
fleet: {caps: {max_drawdown: 0.2, max_notional: 2000000}}
supervisor: {heartbeat_timeout: 60}
"""


def fleet_row(status, cap="max_drawdown"):
    return next((row for row in status["caps"] if row["cap"] == cap), {"held": [], "share": None})


def refuses_opens(session, account):
    """Whether only closes are let through, and none but closes rest."""
    rows = [row for row in session.account(account)["strategies"] if row["mode"] == "live"]
    return all(row["state"] == "reducing" and "only_reduces" in row["waiting"] for row in rows)


def test_a_latch_of_the_fleet_holds_all_also_who_is_frozen_until_each_is_resumed(gridbot):
    session = gridbot.prepare(DEMO + FLEET)
    session.launch()
    session.wait(lambda status: fleet_row(status, "max_notional")["share"], "shares to be lent and used")
    frozen = session.kill("worker-bob", signal.SIGSTOP)
    session.wait(lambda status: fleet_row(status)["held"] == ["alice", "bob"], "a fall of the summed equity")
    session.wait_replaced("worker-bob", frozen)
    for account in ("alice", "bob"):
        session.wait(lambda _, name=account: refuses_opens(session, name), f"{account} to open nothing")
    status = session.status()
    texts = [alert["text"] for alert in status["alerts"] if "does not answer while a cap" in alert["text"]]
    assert len(texts) == 1
    assert "held: alice, bob" in session.run("status").stdout
    session.kill_supervisor()
    session.launch()
    session.wait(lambda status: fleet_row(status)["held"] == ["alice", "bob"], "the latch in the next life")
    session.wait(lambda _: refuses_opens(session, "bob"), "bob to open nothing")
    told = session.run("resume", "bob")
    assert told.returncode == 0, told.stderr
    session.wait(lambda status: "bob" not in fleet_row(status)["held"] or fleet_row(status)["share"], "bob to be free")
    session.stop()
