"""What an account has on the exchange, by REST alone: for who wants to look before anything is done. Reads only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.rest import BybitRest
from gridbot.core import Direction
from gridbot.exchange.failures import ExchangeError
from gridbot.worker.spec import WorkerSpec

__all__ = ["AccountView", "look_at"]


@dataclass(frozen=True, slots=True)
class AccountView:
    """Orders by symbol, and legs by symbol and direction; of what was not read, `problem` says why."""

    orders: Mapping[str, int] = field(default_factory=dict)
    legs: Mapping[tuple[str, Direction], Decimal] = field(default_factory=dict)
    problem: str = ""


async def look_at(spec: WorkerSpec) -> AccountView:
    """Ask the exchange now. Never raises for what the exchange says."""
    config = spec.settings.account(spec.account)
    keys = Credentials(config.api_key.get_secret_value(), config.api_secret.get_secret_value())
    rest = BybitRest(endpoints_for(config.environment, spec.paper_url, keys), keys)
    try:
        await rest.server_time_ms()
        orders = Counter(row.symbol for row in await rest.open_orders())
        hedged, one_way = await rest.every_position()
    except ExchangeError as error:
        return AccountView(problem=str(error))
    finally:
        rest.close()
    return AccountView(orders, {(leg.symbol, leg.direction): leg.size for leg in (*hedged, *one_way)})
