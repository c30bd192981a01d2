"""A paper exchange in a process of its own, requests to it, and what it used."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
from pybit.unified_trading import HTTP

from gridbot.paper.api.auth import sign
from gridbot.paper.server.paper_process import run_paper_exchange
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig

__all__ = [
    "ACCOUNTS",
    "cancel_all",
    "client",
    "configuration",
    "cpu_s",
    "exchange",
    "order",
    "percentile",
    "precise_cpu_s",
    "raw_request",
    "report",
    "signed_order",
]

ACCOUNTS = tuple(PaperAccount(f"a{n}", f"key-{n}", f"secret-{n}", Decimal(1_000_000)) for n in range(50))


def configuration(**changes: Any) -> PaperConfig:
    values: dict[str, Any] = {
        "position_mode": "hedge",
        "control": True,
        "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
        "link_id_retention_s": 0,
        "market": {"source": "manual", "symbols": {"BTCUSDT": {"price": 60000}}},
    }
    return PaperConfig.model_validate(values | changes)


@contextmanager
def exchange(config: PaperConfig) -> Iterator[tuple[str, psutil.Process]]:
    """URL and process of a running exchange."""
    context = multiprocessing.get_context("spawn")
    ready, ready_there = context.Pipe(duplex=False)
    life_there, life = context.Pipe(duplex=False)
    process = context.Process(
        target=run_paper_exchange, args=(PaperSpec(config=config, accounts=ACCOUNTS), ready_there, life_there)
    )
    process.start()
    try:
        url = ready.recv()["url"]
        yield url, psutil.Process(process.pid)
    finally:
        life.close()
        process.join(5)
        process.kill()


def order(number: int) -> dict[str, Any]:
    return {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.001",
        "price": f"{59000 - number % 400 * 10}.00",
        "timeInForce": "PostOnly",
        "positionIdx": 1,
        "orderLinkId": f"bench-{number}",
    }


def signed_order(number: int) -> tuple[dict[str, str], bytes]:
    """Headers and body of a create request at the time of one second."""
    body = json.dumps(order(number)).encode()
    signature = sign("secret-0", b"1000key-05000" + body)
    names = ("X-BAPI-API-KEY", "X-BAPI-TIMESTAMP", "X-BAPI-RECV-WINDOW", "X-BAPI-SIGN")
    return dict(zip(names, ("key-0", "1000", "5000", signature), strict=True)), body


def raw_request(number: int, account: PaperAccount) -> bytes:
    body = json.dumps(order(number)).encode()
    stamp = str(time.time_ns() // 1_000_000)
    signature = sign(account.api_secret, f"{stamp}{account.api_key}5000".encode() + body)
    return (
        f"POST /v5/order/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-BAPI-API-KEY: {account.api_key}\r\nX-BAPI-TIMESTAMP: {stamp}\r\n"
        f"X-BAPI-RECV-WINDOW: 5000\r\nX-BAPI-SIGN: {signature}\r\n\r\n"
    ).encode() + body


def client(url: str, account: PaperAccount = ACCOUNTS[0]) -> HTTP:
    """pybit, pointed at an exchange."""
    session = HTTP(api_key=account.api_key, api_secret=account.api_secret)
    session.endpoint = url
    return session


def cancel_all(session: HTTP) -> None:
    session.cancel_all_orders(category="linear", symbol="BTCUSDT")


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def precise_cpu_s(process: psutil.Process) -> float:
    """CPU seconds of the main thread of a process, to the nanosecond; `cpu_times` counts hundredths."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(what: str, **figures: object) -> None:
    print(json.dumps({"benchmark": what, **figures}), flush=True)
