"""Fixes of order entry over WebSocket taken out (`reverts` names them)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from gridbot.bybit import trade_line
from gridbot.bybit.order_ways import Begun, OrderWays
from gridbot.bybit.trade_line import TradeLine
from gridbot.exchange.failures import ErrorKind, ExchangeError, make_error
from gridbot.simulation.taken_out import replaced

__all__ = ["believe_a_lost_socket", "send_again_by_http", "silence_the_socket"]


def send_again_by_http() -> AbstractContextManager[Any]:
    """What a lost socket leaves unresolved goes by HTTP at once."""

    def begin(ways: OrderWays, endpoint: str, params: dict[str, Any]) -> Begun:
        return ways._calls.begin(endpoint, params) if ways.by_http else both(ways, endpoint, params)

    async def both(ways: OrderWays, endpoint: str, params: dict[str, Any]) -> dict[str, Any]:
        outcome = await ways._socket.send(endpoint, dict(params))
        if isinstance(outcome, ExchangeError):
            if outcome.kind is not ErrorKind.AMBIGUOUS:
                raise outcome
            return await ways._calls.answer(ways._calls.begin(endpoint, params))
        return outcome

    return replaced(OrderWays, begin=begin)


def silence_the_socket() -> AbstractContextManager[Any]:
    """A ban of the address holds back what would go over the socket, too."""

    def by_http(ways: OrderWays) -> bool:
        return not ways._socket.is_ready or ways._calls.silence() is not None

    return replaced(OrderWays, by_http=property(by_http))


def believe_a_lost_socket() -> AbstractContextManager[Any]:
    """What was under way on a socket that is lost counts as never sent, and is tried again."""
    real = trade_line._lose

    def lose(line: TradeLine, error: ExchangeError, now_s: float, lost: int = 0) -> list[trade_line.Effect]:
        return [
            effect._replace(outcome=make_error("not sent", ErrorKind.RETRY))
            if isinstance(effect, trade_line.Settled)
            else effect
            for effect in real(line, error, now_s, lost)
        ]

    return replaced(trade_line, _lose=lose)
