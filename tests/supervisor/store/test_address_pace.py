"""The checks of all accounts share what the workers leave to others of what the exchange allows their address."""

from __future__ import annotations

import asyncio

from gridbot.bybit.pace import Pace
from gridbot.config.models import GridbotConfig
from supervisor.store.address_pace import Paces

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


async def passed(*paces: Pace) -> int:
    """How many of the turns are given at once, in order."""
    done = 0
    for pace in paces:
        turn = asyncio.ensure_future(pace.turn())
        await asyncio.sleep(0)
        done += turn.done()
        turn.cancel()
    return done


def test_accounts_share_what_the_workers_leave_to_others() -> None:
    settings = config(50)
    assert settings.supervisor.share_of(50) == 45
    paces, (alice, bob) = Paces(settings), settings.accounts
    assert asyncio.run(passed(*[paces.of(alice), paces.of(bob)] * 5)) == 5
    assert asyncio.run(passed(paces.of(bob))) == 0, "also in the next part of the check"


def test_without_a_limit_nothing_waits() -> None:
    settings = config(0)
    assert asyncio.run(passed(*[Paces(settings).of(settings.accounts[0])] * 2000)) == 2000
