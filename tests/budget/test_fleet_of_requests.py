"""Many accounts on one address of the paper exchange, whose limit is on: real requests, real messages, no supervisor
process. All start at once, then all compare themselves with the exchange at once, and nobody is banned.

The exchange allows exactly as many requests as are lent: one too many in any five seconds would ban them all.
`GRIDBOT_FLEET` is the number of accounts; `bin/test --long` has 50 of them on Bybit's own limit.
"""

from __future__ import annotations

import asyncio
import os
import time
from decimal import Decimal
from functools import partial
from typing import Any

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.session import Reply, RestTransport
from gridbot.exchange.bans import Ban
from gridbot.exchange.environment import Environment
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.system_ports import SystemClock
from gridbot.worker.fleet_link import FleetLink
from supervisor.leases.sharing import PAPER, Sharing
from tests.paper.support import Venue, manual_config

ACCOUNTS = int(os.environ.get("GRIDBOT_FLEET", "12"))
EACH = 9
"""What the limit has for each account in five seconds."""
SYMBOL = "BTCUSDT"
CONTESTED_S = 4.5


class Counting(RestTransport):
    """Counts what an account sends, also for others: facts of the market are asked for without a key."""

    def __init__(self, account: Account, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._account = account

    def call(self, endpoint: str, params: dict[str, Any]) -> Reply:
        self._account.sent += 1
        return super().call(endpoint, params)


class Account:
    """One account's REST, on what its worker shares with others."""

    def __init__(self, fleet: Fleet, account: PaperAccount) -> None:
        self.name = account.name
        self.link = FleetLink(SystemClock(), "paper", lambda message: fleet.post(self.name, message))
        self.bans: list[Ban] = []
        self.sent = 0
        self.rest = BybitRest(
            endpoints_for(Environment.PAPER, fleet.venue.url),
            Credentials(account.api_key, account.api_secret),
            budget=self.link.budget,
            facts=self.link.facts,
            on_ban=self.bans.append,
            transport=partial(Counting, self),
        )
        self.link.budget.open()

    async def start(self) -> None:
        rest = self.rest
        await rest.server_time_ms(max_age_s=60)
        await rest.api_key_info()
        await rest.account_info()
        await rest.instrument(SYMBOL, max_age_s=60)
        await rest.ensure_hedge_mode(SYMBOL)
        await rest.set_leverage(SYMBOL, Decimal(10))

    async def live(self) -> None:
        """It starts, compares, loses its connection, and compares again."""
        await self.start()
        await self.compare()
        await self.compare()

    async def compare(self) -> None:
        await self.rest.executions(time.time_ns() // 1_000_000 - 60_000)
        rest = self.rest
        await asyncio.gather(rest.open_orders(), rest.closed_orders(), rest.wallet(), rest.positions(SYMBOL))

    def close(self) -> None:
        self.link.budget.close()
        self.rest.close()


class Fleet:
    """All of them, and the supervisor's part, which hears messages a turn of the loop later."""

    def __init__(self, venue: Venue, accounts: list[PaperAccount], limit: int) -> None:
        self.venue = venue
        self.sharing = Sharing(
            {account.name: PAPER for account in accounts},
            {PAPER: limit},
            self._deliver,
            clock=time.monotonic,
            wall_ms=lambda: time.time_ns() // 1_000_000,
        )
        self.accounts: dict[str, Account] = {}
        for account in accounts:
            self.accounts[account.name] = Account(self, account)

    def post(self, name: str, message: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(self.sharing.take, name, message)

    def _deliver(self, name: str, message: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_soon(self.accounts[name].link.on_message, message)

    async def look(self) -> None:
        while True:
            self.sharing.look()
            await asyncio.sleep(0.2)


async def scene(venue: Venue, accounts: list[PaperAccount], limit: int) -> tuple[list[int], float, list[Ban]]:
    """What each account had sent while all of them wanted more; how long all took; the bans."""
    fleet = Fleet(venue, accounts, limit)
    looking = asyncio.ensure_future(fleet.look())
    began_s = time.monotonic()
    try:
        lives = asyncio.gather(*(account.live() for account in fleet.accounts.values()))
        await asyncio.sleep(CONTESTED_S)
        contested = [account.sent for account in fleet.accounts.values()]
        assert not lives.done(), "there is something to contest"
        await lives
        return contested, time.monotonic() - began_s, [ban for each in fleet.accounts.values() for ban in each.bans]
    finally:
        looking.cancel()
        for account in fleet.accounts.values():
            account.close()


def test_all_start_and_compare_at_once_fairly_and_nobody_is_banned() -> None:
    accounts = [
        PaperAccount(f"a{number:02d}", f"paper-{number:02d}", f"secret-of-{number:02d}", Decimal(1000))
        for number in range(ACCOUNTS)
    ]
    limit = EACH * ACCOUNTS
    config = manual_config(
        position_mode="one_way", limits={"orders_per_second": 0, "queries_per_second": 0, "ip_requests": limit}
    )
    with Venue(PaperSpec(config=config, accounts=tuple(accounts))) as venue:
        contested, took_s, bans = asyncio.run(scene(venue, accounts, limit))
    assert bans == []
    assert max(contested) <= 1.2 * min(contested), f"not fair: {sorted(contested)}"
    assert sum(contested) <= limit
    assert took_s > 5.0, "more was wanted than a window has"
