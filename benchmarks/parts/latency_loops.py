"""The bare loops of `benchmarks/latency.py`: what one writes with pybit and no strategy."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from pybit.unified_trading import HTTP, WebSocket

from benchmarks.parts.latency_subjects import Subject, Trace
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.session import RestTransport
from gridbot.bybit.stream_socket import BybitSocket
from gridbot.exchange.environment import Environment
from gridbot.exchange.failures import ExchangeError
from gridbot.execution.latency_trace import Stage


def bare_process(subject: Subject, url: str, signals: Connection, control: Connection) -> None:
    """Entry: a ticker is answered with an order, in the callback."""
    start = TunedLoop if subject.name == "tuned" else PybitLoop
    loop = start(subject, url, signals)
    with contextlib.suppress(EOFError, OSError):
        control.recv()
        control.send({"traces": loop.traces})
        control.recv()
    os._exit(0)  # pybit's threads would keep the process


class BareLoop:
    """What one writes with pybit and no strategy."""

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        self._subject, self._signals = subject, signals
        self._price = str(subject.price - 2)
        self._count = 0
        self._is_first = True
        self.traces: dict[str, Trace] = {}

    def answer(self, received_ns: int, place_order: Callable[..., Any]) -> None:
        if self._is_first:  # the snapshot
            self._is_first = False
        else:
            self._count += 1
            link_id = f"bare-{self._count}"
            self.traces[link_id] = {Stage.RECEIVED: received_ns}
            place_order(
                category="linear",
                symbol=self._subject.symbol,
                side="Buy",
                orderType="Limit",
                qty=self._subject.qty,
                price=self._price,
                timeInForce="PostOnly",
                positionIdx=0,
                orderLinkId=link_id,
            )
        self._signals.send_bytes(b"!")


class PybitLoop(BareLoop):
    """pybit as published."""

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        super().__init__(subject, url, signals)
        account = subject.account
        http = HTTP(api_key=account.api_key, api_secret=account.api_secret)
        http.endpoint = url

        class Loopback(WebSocket):  # type: ignore[misc]
            def _connect(self, address: str) -> None:
                super()._connect(url.replace("http", "ws", 1) + address[address.index("/v5/") :])

        stream = Loopback(testnet=True, channel_type="linear")
        stream.ticker_stream(subject.symbol, lambda _: self.answer(time.monotonic_ns(), http.place_order))


class TunedLoop(BareLoop):
    """gridbot's own connections without a strategy; it is the listener of its own socket.

    Frames come in a thread; the loop that answers them has another one.
    """

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        super().__init__(subject, url, signals)
        account = subject.account
        endpoints = endpoints_for(Environment.PAPER, url)
        credentials = Credentials(account.api_key, account.api_secret)
        self._transport = RestTransport(endpoints, credentials, pool_size=1, timeout=10, recv_window=5000)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="answers", daemon=True).start()
        self._socket = BybitSocket(endpoints.ws_public, self, {"tickers": [f"tickers.{subject.symbol}"]})

    def on_frame(self, topic: str, frame: dict[str, Any], received_ns: int) -> None:
        self._loop.call_soon_threadsafe(self.answer, received_ns, partial(self._transport.call, "order/create"))

    def on_open(self) -> None: ...
    def on_alive(self) -> None: ...
    def on_confirmed(self, request_id: str) -> None: ...
    def on_lost(self, error: ExchangeError) -> None: ...
