"""What the exchange itself has of an account, and that our records have it once."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets
from gridbot.core import ExecutionEvent, OrderUpdateEvent
from gridbot.exchange.environment import Environment


def ask_exchange(session: Any, account: str) -> tuple[list[ExecutionEvent], list[OrderUpdateEvent]]:
    """Executions and open orders as the exchange itself has them, asked like any client would."""
    config = with_paper_secrets(load_config(session.config), paper_seed(session.data_dir)).account(account)
    url = session.status()["paper"]["url"]
    keys = Credentials(config.api_key.get_secret_value(), config.api_secret.get_secret_value())

    async def ask() -> tuple[list[ExecutionEvent], list[OrderUpdateEvent]]:
        rest = BybitRest(endpoints_for(Environment.PAPER, url), keys)
        try:
            an_hour_ago = time.time_ns() // 1_000_000 - 3_600_000
            return await rest.executions(an_hour_ago), await rest.open_orders()
        finally:
            rest.close()

    return asyncio.run(ask())


def filled(status: dict[str, Any]) -> int:
    """Fills of all live strategies so far."""
    rows = [row for account in status["accounts"] for row in account["strategies"]]
    return sum(row.get("fills") or 0 for row in rows if row["mode"] == "live")


def assert_no_doubles(orders: list[OrderUpdateEvent]) -> None:
    """At most one live order per (symbol, direction, price), whatever happened."""
    levels = [(order.symbol, order.direction, order.price) for order in orders]
    assert len(levels) == len(set(levels))


def assert_recorded_once(
    session: Any, truth: dict[str, list[ExecutionEvent]], made: dict[str, set[str]], past: str = ""
) -> None:
    """Each execution that the exchange listed for an account is in the database, once and right, and none is that it
    has not made.

    `made` are the ids of all that it made until its end: a funding may come after it was asked. `past` is said of a run
    whose records are wrong.
    """
    rows = session.sql("SELECT * FROM executions WHERE NOT shadow")
    kept = {(row["account"], row["exec_id"]): row for row in rows}
    assert len(rows) == len(kept), f"nothing twice; {past}"
    known = {(account, exec_id) for account, ids in made.items() for exec_id in ids}
    invented = [json.dumps(row, default=str) for key, row in kept.items() if key not in known]
    assert not invented, "\n".join(("the exchange has not made", *invented, past))
    for account, executions in truth.items():
        for execution in executions:
            row = kept.get((account, execution.exec_id))
            assert row is not None, f"{account}: {execution} is missing; {past}"
            assert Decimal(str(row["price"])) == execution.price
            assert Decimal(str(row["qty"])) == execution.qty
            assert Decimal(str(row["fee"])) == execution.fee
            assert row["direction"] == execution.direction
