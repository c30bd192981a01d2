"""The checks of all accounts share what the workers leave to others of what the exchange allows their address."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gridbot.bybit.clocks import monotonic_s, wall_ms
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.bans import Ban, ban_of
from gridbot.exchange.failures import ExchangeError
from supervisor.control.guest import Guest
from supervisor.store.address_pace import Paces, only_check
from supervisor.store.exchange_ledger import connect
from supervisor.store.query import SqlFailed

NOWHERE = Path("/nonexistent")
DOCUMENT = {
    "environment": "paper",
    "accounts": [{"name": "alice"}, {"name": "bob"}],
    "strategies": [
        {"strat_id": f"{name}-btc", "account": name, "symbol": "BTCUSDT", "grid_count": 4, "grid_step": 1, "amount": 5}
        for name in ("alice", "bob")
    ],
    "paper": {"market": {"symbols": {"BTCUSDT": {"price": 50000}}}},
}


def config(ip_requests: int) -> GridbotConfig:
    document = {**DOCUMENT, "paper": DOCUMENT["paper"] | {"limits": {"ip_requests": ip_requests}}}  # type: ignore[operator]
    return GridbotConfig.model_validate(document)


def alone(exchange: str, spare: int | None, on_ban: Callable[[Ban], object]) -> Guest:
    """Where no supervisor runs."""
    return Guest(NOWHERE, exchange, spare, on_ban=on_ban)


async def turns_at_once(paces: Paces, *accounts: AccountConfig) -> int:
    """How many of their queries need not wait for one another."""
    async with paces.open():
        budgets = [paces.budget_of(account) for account in accounts]
        turns = [asyncio.ensure_future(budget.turn()) for budget in budgets if budget is not None]
        await asyncio.wait(turns, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        done = sum(turn.done() for turn in turns)
        for turn in turns:
            turn.cancel()
        return done


def test_accounts_share_what_the_workers_leave_to_others() -> None:
    settings = config(50)
    assert settings.supervisor.share_of(50) == 45
    paces = Paces(settings, NOWHERE, alone)
    assert asyncio.run(turns_at_once(paces, *settings.accounts * 5)) == 5
    assert paces.budget_of(settings.accounts[0]) is None, "it is not open any more"


def test_without_a_limit_nothing_waits() -> None:
    settings = config(0)
    assert asyncio.run(turns_at_once(Paces(settings, NOWHERE, alone), *[settings.accounts[0]] * 2000)) == 2000


@pytest.mark.parametrize(
    ("until_ms", "left_s"),
    [
        (lambda: wall_ms() + 300_000, 300),
        (lambda: wall_ms() - 1, 0),
        (lambda: 99999999999999, ExchangeError.silence_s),
        (lambda: "soon", 0),
    ],
    ids=["on", "over", "of a clock that was ahead", "damaged"],
)
def test_no_check_asks_anything_while_a_worker_knows_of_a_ban(
    tmp_path: Path, until_ms: Callable[[], object], left_s: float
) -> None:
    """One request of another program begins the ten minutes again, for all workers."""
    file = tmp_path / "state" / "bob" / "ban.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 1, "until_ms": until_ms()}))
    settings = config(50)
    alice = settings.accounts[0]
    paces = Paces(settings, tmp_path)
    assert paces.banned_for_s(alice) == pytest.approx(left_s, abs=60), "it is the address that is banned"
    rest = connect(alice, "http://127.0.0.1:9", paces)
    assert (rest.silence() is not None) == bool(left_s)


def test_when_one_check_is_told_of_a_ban_all_others_end() -> None:
    settings = config(50)
    paces = Paces(settings, NOWHERE)
    alice, bob = settings.accounts
    before = connect(bob, "http://127.0.0.1:9", paces)
    assert before.silence() is None
    paces.banned(alice, ban_of(monotonic_s() + 100, monotonic_s(), None, 403))
    for rest in (before, connect(bob, "http://127.0.0.1:9", paces)):
        assert "the exchange bans this address" in str(rest.silence())


def test_of_two_checks_at_a_time_the_second_is_refused_and_a_full_disk_keeps_nobody_from_one(tmp_path: Path) -> None:
    with only_check(tmp_path), pytest.raises(SqlFailed, match="wait for its end"), only_check(tmp_path):
        pass
    with only_check(tmp_path), only_check(tmp_path / "not there"):
        pass
