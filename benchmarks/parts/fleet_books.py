"""What a fleet left in the exchange's books and in ours: is anything doubled?"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.core.events import OrderUpdateEvent
from supervisor.store.query import Limits, ask

__all__ = ["doubled_executions", "doubled_levels", "repeated_levels"]

AT_A_TIME = 4
PATIENT = Limits(wait_s=60.0)


def doubled_executions(data_dir: Path) -> list[str]:
    """Executions that are in the database more than once. Raises SqlFailed."""
    rows = ask(
        data_dir,
        "SELECT account, exec_id, count(*) FROM executions WHERE NOT shadow GROUP BY ALL HAVING count(*) > 1",
        PATIENT,
    ).rows
    return [f"{account}: execution {exec_id} is recorded {times} times" for account, exec_id, times in rows]


def repeated_levels(account: str, orders: Sequence[OrderUpdateEvent]) -> list[str]:
    """Levels (symbol, direction, price) of an account at which more than one order rests."""
    levels = Counter((order.symbol, order.direction, order.price) for order in orders)
    return [
        f"{account}: {count} orders rest at {symbol} {direction} {price}"
        for (symbol, direction, price), count in levels.items()
        if count > 1
    ]


def doubled_levels(config: GridbotConfig, paper_url: str) -> tuple[int, list[str]]:
    """How many orders rest on the exchange, asked like any client would, and the levels with more than one."""

    async def ask_all() -> list[list[OrderUpdateEvent]]:
        slots = asyncio.Semaphore(AT_A_TIME)

        async def one(account: AccountConfig) -> list[OrderUpdateEvent]:
            keys = Credentials(account.api_key.get_secret_value(), account.api_secret.get_secret_value())
            async with slots:
                rest = BybitRest(endpoints_for(account.environment, paper_url), keys, pool_size=1)
                try:
                    return await rest.open_orders()
                finally:
                    rest.close()

        return await asyncio.gather(*(one(account) for account in config.accounts))

    listed = asyncio.run(ask_all())
    names = [account.name for account in config.accounts]
    found = [line for name, orders in zip(names, listed, strict=True) for line in repeated_levels(name, orders)]
    return sum(len(orders) for orders in listed), found
