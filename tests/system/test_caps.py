"""What stops many accounts, over real processes: a cap of a group, also where a worker does not answer, and the
exchange's disconnect-cancel-all when the machine is gone. One session for all of it."""

from __future__ import annotations

import asyncio
import os
import signal
from decimal import Decimal

import pytest

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets
from gridbot.exchange.environment import Environment

from .conftest import DEMO, wait_for

pytestmark = pytest.mark.system

CAROL = """accounts:
  - {name: carol, balance: 9000, dead_man: dcp 4}
  - {name: dora, balance: 9000, caps: {session_loss_limit: 0.001}}
  - name: alice
    groups: [night]
"""
CONFIG = (
    DEMO.replace("accounts:\n  - name: alice\n", CAROL, 1)
    .replace("  - name: bob\n", "  - name: bob\n    groups: [night]\n", 1)
    .replace(
        "strategies:\n",
        "strategies:\n"
        "  - {strat_id: carol-btc, account: carol, symbol: BTCUSDT, grid_step: 0.1, amount: 120}\n"
        "  - {strat_id: dora-btc, account: dora, symbol: BTCUSDT, grid_step: 0.1, amount: 120}\n",
        1,
    )
    .replace("paper:\n", "paper:\n  dcp: true\n", 1)
    + """
fleet: {caps: {max_notional: 30000}, groups: {night: {caps: {max_drawdown: 0.2}}}}
supervisor: {heartbeat_timeout: 60}
"""
)


BY_A_CAP = "FROM commands WHERE who = 'a cap'"


def cap(status, name):
    return next((row for row in status["caps"] if row["cap"] == name), {"held": [], "share": None})


def refuses_opens(session, account):
    """Whether only closes are let through."""
    rows = [row for row in session.account(account)["strategies"] if row["mode"] == "live"]
    return all(row["state"] == "reducing" and "only_reduces" in row["waiting"] for row in rows)


def test_a_group_is_held_also_who_is_frozen_and_without_a_machine_the_exchange_cancels(gridbot):
    session = gridbot.prepare(CONFIG)
    session.launch()
    session.wait(lambda status: cap(status, "max_notional")["share"], "shares to be lent and used")
    frozen = session.kill("worker-bob", signal.SIGSTOP)
    # a cap of an account alone, which nobody watches while its worker is frozen
    session.wait(lambda _: (session.account("dora")["caps"][0]["share"] or 0) > 1, "the fee of a first fill")
    alone = session.kill("worker-dora", signal.SIGSTOP)
    session.wait(lambda status: cap(status, "max_drawdown")["held"] == ["alice", "bob"], "a fall of the summed equity")
    session.wait_replaced("worker-bob", frozen)
    session.wait_replaced("worker-dora", alone)
    for account in ("alice", "bob"):
        session.wait(lambda _, name=account: refuses_opens(session, name), f"{account} to open nothing")
    status = session.wait(lambda status: status["accounts"][0]["dead_man"]["state"] == "set", "carol's dead_man")
    texts = [alert["text"] for alert in status["alerts"] if "does not answer while a cap" in alert["text"]]
    assert len(texts) == 1
    session.wait(lambda _: len(session.sql(BY_A_CAP)) > 1, "the records of the rescues that have withdrawn orders")
    other, done = session.sql(f"{BY_A_CAP} ORDER BY account DESC")
    assert (other["account"], other["name"], other["ok"]) == ("dora", "reduce", True)
    assert "it is silent while session_loss_limit of its account is used up" in other["args"]
    assert (done["account"], done["name"], done["ok"]) == ("bob", "reduce", True)
    assert done["result"].startswith("nothing that opens rests, confirmed by REST")
    shown = " ".join(session.ask("status").stdout.split())
    assert "held: alice, bob" in shown
    assert "carol dead_man: set, 4 s" in shown
    assert Decimal(cap(status, "max_notional")["used"]) <= 30000
    assert session.ask("resume", "bob").exit_code == 0
    session.wait(lambda status: session.account("carol")["strategies"][0]["open_orders"] > 5, "carol's grid")
    the_machine_is_gone(session, status)


def the_machine_is_gone(session, status):
    """All but the exchange, which in this test is one of our own processes."""
    config = load_config(session.config, data_dir=session.data_dir)
    carol = with_paper_secrets(config, paper_seed(session.data_dir)).account("carol")
    keys = Credentials(carol.api_key.get_secret_value(), carol.api_secret.get_secret_value())
    endpoints = endpoints_for(Environment.PAPER, status["paper"]["url"])

    async def resting():
        rest = BybitRest(endpoints, keys)
        try:
            await rest.server_time_ms()
            return len(await rest.open_orders())
        finally:
            rest.close()

    pids = [row["process"]["pid"] for row in (*session.status()["accounts"], session.status()["writer"])]
    assert asyncio.run(resting()) > 5
    os.kill(session.supervisor.pid, signal.SIGSTOP)  # it would start them again
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: asyncio.run(resting()) == 0, "the exchange to cancel carol's orders", session.tail)
    session.supervisor.kill()
    session.supervisor.send_signal(signal.SIGCONT)
