"""Channels of a WebSocket: public, private, trade. Reads its requests strictly in order (docs/bybit_streams.md 5)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from gridbot.core.strict_numbers import count_or_none
from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.paper.api.auth import check_ws_auth, is_named
from gridbot.paper.api.dispatch import Api
from gridbot.paper.api.request_limits import KeyedLimit
from gridbot.paper.faults.fault_config import FaultConfig, FaultKind
from gridbot.paper.faults.fault_injector import Faults
from gridbot.paper.rows.order_rows import fast_execution_row
from gridbot.paper.rows.outbox import Push
from gridbot.paper.streams.connections import DCP_TOPIC, ChannelKind, Connection, Hub, Stamp
from gridbot.paper.streams.outgoing import Outgoing
from gridbot.paper.streams.publisher import STATUS_TOPIC, Publisher
from gridbot.paper.streams.trade_channel import TradeChannel

__all__ = ["CHANNELS", "Channels"]

CATEGORIES = {f"/v5/public/{name}": name for name in ("linear", "inverse", "spot", "option")}
"""Public sockets. Those of other categories than linear list no symbol: a client connects, and hears that."""
CHANNELS = dict.fromkeys(CATEGORIES, ChannelKind.PUBLIC) | {
    "/v5/public/misc/status": ChannelKind.PUBLIC,
    "/v5/private": ChannelKind.PRIVATE,
    "/v5/trade": ChannelKind.TRADE,
}
CREATE = '"order.create"'
MAX_ARGS_CHARS = 21_000
LONGEST_TOPIC = 300
LONGEST_ECHO = 100
"""Characters of a name or an id that come back in an answer."""
CONNECTION_WINDOW_S = 300.0
PRIVATE_TOPICS = frozenset(
    name + suffix for name in ("order", "execution", "position", "wallet") for suffix in ("", ".linear")
) - {"wallet.linear"} | {"execution.fast", "execution.fast.linear", "greeks", DCP_TOPIC}


class Channels:
    """Accepts sockets and answers their requests."""

    def __init__(
        self,
        api: Api,
        hub: Hub,
        publisher: Publisher,
        faults: Faults,
        now_ms: Callable[[], int],
        outgoing: Outgoing,
        stamp: Stamp | None = None,
    ) -> None:
        self._api = api
        self._exchange = api.exchange
        self._hub = hub
        self._publisher = publisher
        self._faults = faults
        self._outgoing = outgoing
        self._trade_channel = TradeChannel(api, faults, now_ms, outgoing)
        self._now_ms = now_ms
        self._stamp = stamp
        self._numbers = itertools.count(1)
        self._connections = KeyedLimit(self._exchange.config.limits.ws_connections, CONNECTION_WINDOW_S)
        config = self._exchange.config
        self._ack_delay_s = config.subscribe_delay_ms / 1000
        self._push_delay_s = config.ack_delay_ms / 1000

    async def accept(self, request: web.BaseRequest, kind: ChannelKind) -> web.StreamResponse:
        """Serve one connection until it ends."""
        if self._faults.plan.refuses(kind.value, self._faults.elapsed_s()):
            return web.Response(status=503)
        named = kind is ChannelKind.PUBLIC and is_named(self._exchange.by_key, request.query)
        if self._connections.is_used_up(_budget(kind, request.remote, named=named), self._now_ms() / 1000):
            return web.Response(status=403, text="too many connections")
        socket = web.WebSocketResponse(compress=False, max_msg_size=1 << 20, autoping=False)
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        connection = Connection(socket, kind, f"paper-{next(self._numbers)}", self._stamp, transport)
        connection.named = named
        connection.category = CATEGORIES.get(request.path, "")
        connection.max_idle_s = _max_active_s(request.query.get("max_active_time", ""))
        self._hub.add(connection)
        try:
            async for message in socket:
                await connection.next_turn()
                connection.touch()
                if connection.muted:
                    continue
                if message.type is WSMsgType.TEXT:
                    self.receive(connection, message.data)
                elif message.type is WSMsgType.PING:
                    with contextlib.suppress(ConnectionError):  # it is on its way out
                        await socket.pong(message.data)
        finally:
            self._hub.remove(connection)
            self._trade_channel.forget(connection)
        return socket

    def push(self, pushes: list[Push]) -> None:
        """Send private rows to the account's listeners, after the acknowledgement delay."""
        for push in pushes:
            now_ms = self._now_ms()
            frame_id = self._frame_id(push, now_ms)
            for connection in self._hub.of_account(push.account):
                for topic in (push.topic, f"{push.topic}.linear"):
                    if topic in connection.topics:
                        frame = {
                            "id": frame_id,
                            "topic": topic,
                            "creationTime": now_ms,
                            "data": push.rows,
                        }
                        self._push_frame(connection, topic, push.account, orjson.dumps(frame))
                if push.topic == "execution":
                    self._push_fast(connection, push, now_ms)

    def _frame_id(self, push: Push, now_ms: int) -> str:
        """Made as Bybit makes them: an order and its fills have the same one, and two frames of a ms may have, too."""
        uid = self._exchange.accounts[push.account].uid
        if push.topic in ("order", "execution"):
            symbol = push.rows[0]["symbol"]
            return f"{uid}_{symbol}_{self._exchange.markets[symbol].seq}"
        return f"{uid}_{push.topic}_{now_ms}"

    def _push_fast(self, connection: Connection, push: Push, now_ms: int) -> None:
        rows = [fast_execution_row(row) for row in push.rows if row["execType"] == "Trade"]
        for topic in ("execution.fast", "execution.fast.linear"):
            if rows and topic in connection.topics:
                frame = {"topic": topic, "creationTime": now_ms, "data": rows}
                self._push_frame(connection, topic, push.account, orjson.dumps(frame))

    def _push_frame(self, connection: Connection, topic: str, account: str, frame: bytes) -> None:
        if not self._faults.plan:
            connection.send(frame, delay_s=self._push_delay_s)
            return
        for out in self._faults.frames(topic, account, frame):
            if out.delay_s:
                connection.send_late(out.data, self._push_delay_s + out.delay_s)
            else:
                connection.send(out.data, delay_s=self._push_delay_s)

    def receive(self, connection: Connection, text: str) -> None:
        """Answer a request; one to create an order is stamped first, as over HTTP."""
        if self._stamp is not None and connection.kind is ChannelKind.TRADE and CREATE in text:
            self._stamp("create", "")
        try:
            request = read_json(text)
        except JsonMistake:
            request = None
        if not isinstance(request, dict):
            self._answer(connection, {"success": False, "ret_msg": "error:invalid JSON", "op": ""})
            return
        op = request.get("op")
        if op == "ping":
            self._answer(connection, self._pong(connection, request))
        elif op == "auth":
            self._auth(connection, request)
        elif connection.kind is ChannelKind.TRADE:
            connection.asked()
            fault = self._trade_channel.fault_of(connection, request)
            if fault is not None and fault.kind is FaultKind.DELAY:
                loop = asyncio.get_running_loop()
                loop.call_later(fault.delay_ms / 1000, self._order_entry, connection, request, None)
            else:
                self._order_entry(connection, request, fault)
        elif op in ("subscribe", "unsubscribe"):
            self._subscribe(connection, request, str(op))
        else:
            self._answer(connection, self._ack(connection, request, f"error:unknown op {_echo(op)}", _echo(op)))

    def _order_entry(self, connection: Connection, request: dict[str, Any], fault: FaultConfig | None) -> None:
        answer = self._trade_channel.answer(connection, request, fault)
        if answer is None:
            self._outgoing.changed()
            connection.answer(None)
            connection.transport.abort()
            return
        self._outgoing.hold(
            lambda: connection.answer(orjson.dumps(answer)),  # at once, as over HTTP
            lambda: connection.answer(orjson.dumps(self._trade_channel.refusal(connection, request))),
        )

    def _answer(self, connection: Connection, frame: dict[str, Any]) -> None:
        connection.send(orjson.dumps(frame), delay_s=self._ack_delay_s)

    def _ack(self, connection: Connection, request: dict[str, Any], problem: str, op: str) -> dict[str, Any]:
        frame = {"success": not problem, "ret_msg": problem, "conn_id": connection.conn_id, "op": op}
        if "req_id" in request or connection.kind is ChannelKind.PUBLIC:
            frame["req_id"] = _echo(request.get("req_id", ""))
        return frame

    def _pong(self, connection: Connection, request: dict[str, Any]) -> dict[str, Any]:
        stamp = str(self._now_ms())
        if connection.category == "option":
            return {"args": [stamp], "op": "pong"}
        if connection.kind is ChannelKind.PUBLIC:
            frame = {"success": True, "ret_msg": "pong", "conn_id": connection.conn_id, "op": "ping"}
            if connection.category != "spot":
                frame["req_id"] = _echo(request.get("req_id", ""))
            return frame
        if connection.kind is ChannelKind.TRADE:
            return {"retCode": 0, "retMsg": "OK", "op": "pong", "data": [stamp], "connId": connection.conn_id}
        frame = {"op": "pong", "args": [stamp], "conn_id": connection.conn_id}
        if "req_id" in request:
            frame["req_id"] = _echo(request["req_id"])
        return frame

    def _auth(self, connection: Connection, request: dict[str, Any]) -> None:
        args, repeated = request.get("args"), connection.account is not None
        account = check_ws_auth(self._exchange.by_key, args, self._now_ms(), connection.remote)
        if connection.kind is ChannelKind.PUBLIC:
            account = None
        if account is not None and not repeated:
            self._count(connection)
        if account is not None and not (repeated and connection.kind is ChannelKind.TRADE):
            self._hub.authorise(connection, account)
        if connection.kind is ChannelKind.TRADE:
            frame = self._trade_channel.auth_reply(connection, request, repeated=repeated, accepted=account is not None)
        else:
            problem = "" if account is not None else "Params Error"
            frame = self._ack(connection, request, problem, "auth")
        self._answer(connection, frame)

    def _count(self, connection: Connection) -> None:
        """It has signed in, or listens: only those count for their address, not what strangers open in vain."""
        budget = _budget(connection.kind, connection.remote, named=connection.named)
        self._connections.allows(budget, self._now_ms() / 1000)

    def _subscribe(self, connection: Connection, request: dict[str, Any], op: str) -> None:
        args = request.get("args")
        topics = [str(topic)[:LONGEST_TOPIC] for topic in args] if isinstance(args, list) else []
        problem = "" if topics else "error:no topics"
        if connection.kind is ChannelKind.PRIVATE and connection.account is None:
            problem = "Request not authorized"
        used = sum(len(topic) for topic in {*connection.topics, *topics})
        if connection.kind is ChannelKind.PUBLIC and used > MAX_ARGS_CHARS:
            problem = f"error:args exceed {MAX_ARGS_CHARS} characters on this connection"
        mixed = next((topic for topic in topics if f"{topic}.linear" in topics), "")
        if mixed:
            problem = f"error:{mixed} and {mixed}.linear in one request,topic:{mixed}.linear"
        fresh: list[str] = []
        for topic in topics if not problem else ():
            if not self._exists(connection, topic):
                problem = f"error:handler not found,topic:{topic}"
            elif op == "unsubscribe":
                self._hub.unsubscribe(connection, topic)
            elif topic in connection.topics:
                problem = f"error:already subscribed,topic:{topic}"
            else:
                if not connection.topics and connection.kind is ChannelKind.PUBLIC:
                    self._count(connection)
                fresh.append(topic)
                self._hub.subscribe(connection, topic)
        ack = self._ack(connection, request, problem, op)
        if not problem and op == "subscribe" and all(topic.startswith("orderbook.rpi.") for topic in topics):
            ack["ret_msg"] = "subscribe"  # as documented for these topics alone
        if connection.category == "option":
            topics_of = {"failTopics": topics, "successTopics": []}
            ack = {"success": False, "conn_id": connection.conn_id, "data": topics_of, "type": "COMMAND_RESP"}
        self._answer(connection, ack)
        if connection.kind is ChannelKind.PUBLIC:
            for topic in fresh:
                self._publisher.greet(connection, topic, self._ack_delay_s)

    def _exists(self, connection: Connection, topic: str) -> bool:
        if connection.kind is ChannelKind.PRIVATE:
            return topic in PRIVATE_TOPICS
        return topic == STATUS_TOPIC or (connection.category == "linear" and self._publisher.topic_exists(topic))


def _budget(kind: ChannelKind, remote: str | None, *, named: bool) -> str:
    """Whose new connections count together: of public ones those of our accounts, and those of anybody else."""
    return f"{kind.value} {remote}{' of ours' if named else ''}"


def _echo(value: object) -> str:
    """What comes back of a text of the client's; the rest of a value is not even made into one."""
    return value[:LONGEST_ECHO] if isinstance(value, str) else str(value)[:LONGEST_ECHO]


def _max_active_s(text: str) -> float:
    """Seconds of `?max_active_time=`, such as 30s or 5m; ten minutes when it is absent or out of range."""
    number, unit = text[:-1], text[-1:]
    seconds = (count_or_none(number) or 0) * {"s": 1, "m": 60}.get(unit, 0)
    return float(seconds) if 30 <= seconds <= 600 else 600.0
