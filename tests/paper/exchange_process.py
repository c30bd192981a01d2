"""A paper exchange in a process of its own, which can be killed, stopped and started again on the same port."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from pybit.unified_trading import HTTP, WebSocket

from gridbot.paper.server.paper_process import run_paper_exchange
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from tests.fork_server import CONTEXT
from tests.paper.patient_pybit import patient_stream

__all__ = ["START_S", "ExchangeProcess"]

START_S = 120.0
"""The first one waits until everything is imported: seconds of CPU, which beside other load are a minute."""


class ExchangeProcess:
    """`start` it, `send` it a signal, `kill` it; use it in a `with`, which kills it at the end."""

    def __init__(self) -> None:
        self.url = ""
        self._process: ForkServerProcess | None = None
        self._pipes: list[Connection] = []

    def __enter__(self) -> ExchangeProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, spec: PaperSpec) -> None:
        """Return when it listens."""
        ready, ready_there = CONTEXT.Pipe(duplex=False)
        life_there, life = CONTEXT.Pipe(duplex=False)
        self._process = CONTEXT.Process(target=run_paper_exchange, args=(spec, ready_there, life_there))
        self._process.start()
        ready_there.close()
        life_there.close()
        self._pipes = [ready, life]
        assert ready.poll(START_S), f"it does not listen after {START_S} s"
        self.url = ready.recv()["url"]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def forget_health(self) -> None:
        """Leave out reports that were sent before now."""
        while self._pipes[0].poll(0):
            self._pipes[0].recv()

    def health(self) -> dict[str, Any]:
        """The next report; one comes each second."""
        assert self._pipes[0].poll(10)
        report: dict[str, Any] = self._pipes[0].recv()
        return report

    def kill(self) -> None:
        """kill -9, and wait for the end."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []

    def http(self, account: PaperAccount, **options: Any) -> HTTP:
        session = HTTP(api_key=account.api_key, api_secret=account.api_secret, timeout=20, **options)
        session.endpoint = self.url
        session.retry_codes = set()
        return session

    def websocket(self, channel: str, account: PaperAccount | None = None, **options: object) -> WebSocket:
        return patient_stream(self.url.replace("http", "ws", 1), channel, account, **options)
