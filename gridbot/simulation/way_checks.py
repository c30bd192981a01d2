"""One order, one way: what is unresolved is not sent again, by HTTP or over a socket, before it was looked up. And a
ban of our address silences HTTP.

unresolved-stays   a create leaves a second time only when its last try is known to have had no effect: it was refused
                   with such a code, never left, or a look-up by its id was answered afterwards
ban-is-kept        by HTTP nothing leaves while the address is banned

Looked at where requests leave the worker, by either way; what their answers say is known when the worker has them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

from gridbot.bybit.calls import Calls
from gridbot.bybit.error_mapping import from_ret_code
from gridbot.bybit.trade_socket import TradeSocket
from gridbot.exchange.failures import ExchangeError, Outcome

__all__ = ["SentOnce", "one_way"]

CREATES = frozenset({"order/create", "order/create-batch"})
LOOK_UPS = frozenset({"order/realtime", "order/history"})
Find = Callable[[str, str], None]


class SentOnce:
    """The creates of a run by link id: those whose last try may have had its effect."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._open: dict[str, str] = {}
        """Link id -> the way by which it left last."""

    def left(self, links: Iterable[str], way: str) -> None:
        """Creates leave now."""
        for link in links:
            if (before := self._open.get(link)) is not None:
                self._find("unresolved-stays", f"{link} leaves by {way}, and its try by {before} is not resolved")
            self._open[link] = way

    def settled(self, links: Iterable[str]) -> None:
        """Their last try had no effect, or was looked up."""
        for link in links:
            self._open.pop(link, None)

    def answered(self, links: list[str], outcome: Mapping[str, Any] | BaseException) -> None:
        """The worker has the answer to a create, or knows why there is none."""
        if isinstance(outcome, ExchangeError):
            if outcome.outcome is Outcome.NOT_CREATED:
                self.settled(links)
            return
        if isinstance(outcome, BaseException):
            return
        extra = outcome.get("retExtInfo")
        items = extra.get("list") if isinstance(extra, dict) else None
        for link, item in zip(links, items or (), strict=False):
            if item["code"] and from_ret_code(item["code"], "").outcome is Outcome.NOT_CREATED:
                self.settled([link])


@contextlib.contextmanager
def one_way(find: Find) -> Iterator[None]:
    """Watch all requests meanwhile; `find` is told the invariant and what is wrong."""
    sent = SentOnce(find)
    start, answer, send = Calls._start, Calls.answer, TradeSocket.send
    begun: dict[int, tuple[Any, str, Mapping[str, Any]]] = {}

    def checked_start(calls: Calls, endpoint: str, params: dict[str, Any], *more: Any) -> Any:
        if calls.silence() is not None:
            find("ban-is-kept", f"{endpoint} leaves by HTTP during a ban")
        reply = start(calls, endpoint, params, *more)
        if endpoint in CREATES:
            sent.left(_links(params), "HTTP")
        if endpoint in CREATES or (endpoint in LOOK_UPS and params.get("orderLinkId")):
            begun[id(reply)] = reply, endpoint, params
        return reply

    async def checked_answer(calls: Calls, reply: Any) -> dict[str, Any]:
        _, endpoint, params = begun.pop(id(reply), (None, "", {}))
        try:
            envelope = await answer(calls, reply)
        except BaseException as error:
            if endpoint in CREATES:
                sent.answered(_links(params), error)
            raise
        if endpoint in CREATES:
            sent.answered(_links(params), envelope)
        elif endpoint:
            sent.settled([params["orderLinkId"]])
        return envelope

    def checked_send(socket: TradeSocket, endpoint: str, params: Mapping[str, Any]) -> asyncio.Future[Any]:
        if endpoint in CREATES:
            sent.left(_links(params), "WebSocket")
        pending = send(socket, endpoint, params)
        if endpoint in CREATES:
            pending.add_done_callback(functools.partial(_note, sent, _links(params)))
        return pending

    with (
        patch.object(Calls, "_start", checked_start),
        patch.object(Calls, "answer", checked_answer),
        patch.object(TradeSocket, "send", checked_send),
    ):
        yield


def _note(sent: SentOnce, links: list[str], pending: asyncio.Future[Any]) -> None:
    """What was given to a socket may have left: only a code of the exchange says that it had no effect."""
    outcome = None if pending.cancelled() else pending.result()
    if outcome is not None and getattr(outcome, "ret_code", 0) is not None:
        sent.answered(links, outcome)


def _links(params: Mapping[str, Any]) -> list[str]:
    return [row["orderLinkId"] for row in params.get("request", [params])]
