"""The bare loops of `benchmarks/latency.py`, which have no strategy: the floor, pybit's and our own connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pybit.unified_trading import HTTP, WebSocket

from benchmarks.parts.latency_floor import open_floor
from benchmarks.parts.latency_subjects import Subject, Trace, hide_packages, own_pid, run_child
from benchmarks.parts.latency_tls import trust
from gridbot.bybit.endpoints import Credentials, endpoints_for
from gridbot.bybit.session import RestTransport
from gridbot.bybit.streams import StreamSet
from gridbot.exchange.environment import Environment
from gridbot.execution.latency_trace import Stage


def bare_process(subject: Subject, url: str, authority: Path | None, signals: Connection, control: Connection) -> None:
    """Entry: a ticker is answered with an order, as soon as it is there."""
    hide_packages(subject)
    context = None if authority is None else trust(authority)
    loop: BareLoop
    if subject.name == "pybit":
        loop = PybitLoop(subject, url, signals)
    else:
        loop = own = ClassesLoop(subject, url, signals) if subject.name == "classes" else FloorLoop(
            subject, url, signals, context
        )  # fmt: skip
        threading.Thread(target=partial(run_child, _for_ever(own), control, subject), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        control.recv()
        control.send({"traces": loop.traces})
        control.recv()
    os._exit(0)  # pybit's threads would keep the process


async def _for_ever(loop: ClassesLoop | FloorLoop) -> None:
    await loop.run()
    await asyncio.Event().wait()


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
        self._signals.send_bytes(own_pid())


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


class ClassesLoop(BareLoop):
    """gridbot's own connections without a strategy, on one loop as a worker's."""

    def __init__(self, subject: Subject, url: str, signals: Connection) -> None:
        super().__init__(subject, url, signals)
        self._url = url
        self._streams: StreamSet | None = None

    async def run(self) -> None:
        account = self._subject.account
        endpoints = endpoints_for(Environment.PAPER, self._url)
        credentials = Credentials(account.api_key, account.api_secret)
        transport = RestTransport(endpoints, credentials, pool_size=1, timeout=10, recv_window=5000)
        self._place = lambda **params: transport.call("order/create", params)
        loop = asyncio.get_running_loop()
        self._streams = StreamSet(endpoints, credentials, [self._subject.symbol], loop=loop, on_wake=self._wake)
        await self._streams.start()

    def _wake(self) -> None:
        if self._streams is not None:
            for ticker in self._streams.drain().tickers:
                self.answer(ticker.received_ns, self._place)


class FloorLoop(BareLoop):
    """The least there is: a frame's bytes are looked at, a request is signed and written."""

    def __init__(self, subject: Subject, url: str, signals: Connection, context: ssl.SSLContext | None) -> None:
        super().__init__(subject, url, signals)
        self._url, self._context = url, context

    async def run(self) -> None:
        subject = self._subject
        await open_floor(subject, self._url, self._price, self._context, self._left, self._answered)

    def _left(self, link_id: str, received_ns: int) -> None:
        self.traces[link_id] = {Stage.RECEIVED: received_ns}

    def _answered(self) -> None:
        self._signals.send_bytes(own_pid())
