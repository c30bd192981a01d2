"""The ways by which an account's orders leave: HTTP alone, or a trade socket with HTTP beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridbot.bybit.order_gateway import BybitOrderGateway
from gridbot.bybit.order_ways import OrderWays
from gridbot.bybit.rest import BybitRest
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.worker.entry_proof import EntryProof
from gridbot.worker.refresh_requests import RefreshRequests

__all__ = ["leased", "ways_of"]


def ways_of(
    rest: BybitRest, make_socket: Callable[..., TradeSocket], proof: EntryProof, requests: RefreshRequests
) -> tuple[TradeSocket, BybitOrderGateway]:
    """A trade socket, made by `make_socket`, and what sends by it while it is up, and by `rest` otherwise."""
    socket = make_socket(
        limits=rest.limits,
        refusal=rest.refusal,
        on_back=lambda lost: requests.reconcile(f"the trade socket was lost with {lost} requests under way"),
        exchange_ms=rest.exchange_ms,
    )
    ways = OrderWays(rest, socket, measure_clock=rest.server_time_ms, acknowledged=proof.add)
    return socket, BybitOrderGateway(ways)


def leased(lease: Any) -> dict[str, Any]:
    """The arguments of what sends, of a worker that has a lease; none without a fleet."""
    return {} if lease is None else {"lease": lease}
