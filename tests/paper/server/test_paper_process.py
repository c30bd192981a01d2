"""The exchange as a child process: says where it listens, reports, and ends with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import SimpleNamespace
from typing import Any, cast

import pytest
import requests

from gridbot.paper.server import paper_process
from gridbot.paper.server.paper_process import run_paper_exchange
from gridbot.paper.server.paper_server import PaperServer
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig
from tests.fork_server import CONTEXT
from tests.paper.exchange_process import START_S

SPEC = PaperSpec(config=PaperConfig(), accounts=(PaperAccount("alice", "key", "the-secret"),))


@contextmanager
def child() -> Iterator[tuple[ForkServerProcess, Connection, Connection, dict[str, Any]]]:
    ready, ready_there = CONTEXT.Pipe(duplex=False)
    life_there, life = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=run_paper_exchange, args=(SPEC, ready_there, life_there))
    process.start()
    ready_there.close()
    life_there.close()
    try:
        assert ready.poll(START_S)
        yield process, ready, life, ready.recv()
    finally:
        process.kill()
        process.join()


def test_it_says_where_it_listens_and_reports_health() -> None:
    with child() as (process, ready, _life, hello):
        assert hello == {
            "type": "ready",
            "url": f"http://127.0.0.1:{hello['port']}",
            "port": hello["port"],
            "pid": process.pid,
        }
        assert requests.get(hello["url"] + "/v5/market/time", timeout=5).json()["retCode"] == 0
        assert ready.poll(5)
        health = ready.recv()
        assert set(health) == {"type", "rss", "orders", "trades", "connections", "market"}
        assert health["type"] == "health"
        assert health["rss"] > 1_000_000
        assert health["market"] == "synthetic x1"


def test_it_ends_when_its_parent_is_gone() -> None:
    with child() as (process, _ready, life, _hello):
        life.close()
        process.join(10)
        assert process.exitcode == 0


def test_sigterm_ends_it_in_order() -> None:
    with child() as (process, _ready, _life, _hello):
        assert process.pid is not None
        os.kill(process.pid, signal.SIGTERM)
        process.join(5)
        assert process.exitcode == 0


def test_files_that_cannot_be_made_again_are_logged_once_and_told_each_second(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(paper_process, "HEALTH_INTERVAL_S", 0.0)
    server = PaperServer(SPEC)
    looks = iter(["", "gone", "gone", "", "gone"])
    told: list[Any] = []

    async def report() -> None:
        stop = asyncio.Event()

        def look() -> str:
            text = next(looks, None)
            if text is None:
                stop.set()
            return text or ""

        monkeypatch.setattr(server, "keep_files", look)
        await paper_process._report(server, cast("Connection", SimpleNamespace(send=told.append)), stop)

    asyncio.run(report())
    assert [each["text"] for each in told if each["type"] == "alert"] == ["gone"] * 3
    assert caplog.messages == ["gone"] * 2


def test_the_secret_is_not_shown() -> None:
    assert "the-secret" not in repr(SPEC)
