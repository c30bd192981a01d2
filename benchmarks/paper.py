"""What the paper exchange costs: `bin/bench paper`, or `python benchmarks/paper.py [--quick]`.

The exchange runs in a process of its own; its CPU time is read from outside, so the client's is never in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from pybit.unified_trading import HTTP

from gridbot.core.vocabulary import Side
from gridbot.paper.api.auth import sign
from gridbot.paper.api.dispatch import ROUTES, Api
from gridbot.paper.engine.exchange import Exchange
from gridbot.paper.market.instruments import LISTINGS
from gridbot.paper.market.symbol_market import SymbolMarket
from gridbot.paper.server.paper_process import run_paper_exchange
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import PaperConfig
from gridbot.paper.storage.exchange_file import ExchangeFile

BLOCK = 20  # requests in a row to one of two exchanges that are compared
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


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def report(what: str, **figures: object) -> None:
    print(json.dumps({"benchmark": what, **figures}), flush=True)


def cancel_all(session: HTTP) -> None:
    session.cancel_all_orders(category="linear", symbol="BTCUSDT")


def pybit_round_trips(count: int) -> None:
    """Create-order round trips with pybit, one after the other."""
    with exchange(configuration()) as (url, process):
        session = HTTP(api_key="key-0", api_secret="secret-0")
        session.endpoint = url
        session.get_server_time()
        latencies: list[float] = []
        used = 0.0
        for start in range(0, count, 400):
            before = cpu_s(process)
            for number in range(start, min(start + 400, count)):
                began = time.perf_counter()
                session.place_order(**order(number))
                latencies.append(time.perf_counter() - began)
            used += cpu_s(process) - before
            cancel_all(session)
        report(
            "create-order with pybit",
            orders=len(latencies),
            per_second=round(len(latencies) / sum(latencies)),
            p50_us=round(percentile(latencies, 0.5) * 1e6),
            p99_us=round(percentile(latencies, 0.99) * 1e6),
            server_cpu_us_per_order=round(used / len(latencies) * 1e6),
        )


def in_process(count: int) -> None:
    """The exchange's own work on a create-order, without sockets: signature, checks, order, answer, rows to push."""
    for what, topics in (
        ("nobody listening", set()),
        ("four private topics", {"order", "execution", "position", "wallet"}),
    ):
        best = float("inf")
        for _ in range(5):
            exchange = alone(topics)
            api, requests = Api(exchange), [signed_order(number) for number in range(count)]
            before = time.process_time()
            for headers, body in requests:
                reply = api.handle("POST", "/v5/order/create", headers, body, 1000)
                exchange.outbox.take()
            best = min(best, (time.process_time() - before) / count)
            assert b'"retCode":0' in reply.body, reply
        report(f"create-order in process, {what}", orders=count, cpu_us_per_order=round(best * 1e6, 1))


def alone(topics: set[str]) -> Exchange:
    """An exchange without a server, and one account that listens to topics."""
    market = SymbolMarket(LISTINGS["BTCUSDT"], Decimal(60000), Decimal(10000), 0)
    exchange = Exchange(configuration(), {"BTCUSDT": market}, "0123456789ab", 0)
    exchange.state.add_account("a0", "key-0", "secret-0", Decimal(1_000_000)).listening = topics
    return exchange


def state_file_in_process(blocks: int) -> None:
    """What a state file costs, the exchange's own work alone: two exchanges take turns, one with a state file."""
    used: dict[bool, list[float]] = {False: [], True: []}
    topics = {"order", "execution", "position", "wallet"}
    for start in range(blocks):
        with tempfile.TemporaryDirectory() as directory:
            file, exchanges = ExchangeFile(Path(directory) / "state.json"), (alone(topics), alone(topics))
            file.open(exchanges[1])
            apis, requests = [Api(exchange) for exchange in exchanges], [signed_order(n) for n in range(400)]
            for first in range(0, len(requests), BLOCK):
                for kept in ((first // BLOCK + start) % 2 == 0, (first // BLOCK + start) % 2 == 1):
                    before = time.thread_time()
                    for headers, body in requests[first : first + BLOCK]:
                        apis[kept].handle("POST", "/v5/order/create", headers, body, 1000)
                        if kept:
                            file.write_changes()
                        exchanges[kept].outbox.take()
                    used[kept].append((time.thread_time() - before) / BLOCK)
            file.close()
    report_pair("state file: create-order in process, four private topics", used)


def state_file_over_a_socket(blocks: int) -> None:
    """The same with whole servers: two take turns at blocks of requests over a bare socket."""
    used: dict[bool, list[float]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as directory,
        exchange(configuration()) as without,
        exchange(configuration(state_file=Path(directory) / "state.json")) as kept,
    ):
        for block in range(blocks):
            for has_file in (block % 2 == 0, block % 2 == 1):
                url, process = kept if has_file else without
                requests = [raw_request(number, ACCOUNTS[0]) for number in range(400)]
                host, port = url.removeprefix("http://").split(":")
                with socket.create_connection((host, int(port))) as connection:
                    for first in range(0, 400, BLOCK):
                        before = precise_cpu_s(process)
                        for request in requests[first : first + BLOCK]:
                            connection.sendall(request)
                            assert b'"retCode":0' in connection.recv(65536)
                        used[has_file].append((precise_cpu_s(process) - before) / BLOCK)
                session = HTTP(api_key="key-0", api_secret="secret-0")
                session.endpoint = url
                cancel_all(session)
    report_pair("state file: create-order over a bare socket", used)


def precise_cpu_s(process: psutil.Process) -> float:
    """CPU seconds of the main thread of a process, to the nanosecond; `cpu_times` counts hundredths."""
    return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[0]) / 1e9


def report_pair(what: str, used: dict[bool, list[float]]) -> None:
    """A tenth of the blocks are cheaper than the figure: other load on the machine only ever adds."""
    without, kept = (percentile(used[has_file], 0.1) * 1e6 for has_file in (False, True))
    report(
        what,
        blocks=len(used[True]),
        cpu_us_without=round(without, 1),
        cpu_us_with=round(kept, 1),
        more_us=round(kept - without, 1),
        more_percent=round((kept / without - 1) * 100, 1),
    )


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
        f"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-BAPI-API-KEY: {account.api_key}\r\nX-BAPI-TIMESTAMP: {stamp}\r\n"
        f"X-BAPI-RECV-WINDOW: 5000\r\nX-BAPI-SIGN: {signature}\r\n\r\n"
    ).encode() + body


def raw_round_trips(count: int, *, listen: bool = False, pause_s: float = 0.0) -> None:
    """The same without pybit: a socket that writes prepared requests. Shows the server, not the client.

    With a pause the server falls asleep between requests, as it does while pybit prepares the next one: the difference
    is what waking up costs.
    """
    with exchange(configuration()) as (url, process):
        host, port = url.removeprefix("http://").split(":")
        listener = start_listener(url) if listen else None
        latencies: list[float] = []
        used = 0.0
        with socket.create_connection((host, int(port))) as connection:
            for start in range(0, count, 400):
                requests = [raw_request(number, ACCOUNTS[0]) for number in range(start, min(start + 400, count))]
                before = cpu_s(process)
                for request in requests:
                    began = time.perf_counter()
                    connection.sendall(request)
                    answer = connection.recv(65536)
                    latencies.append(time.perf_counter() - began)
                    assert b'"retCode":0' in answer, answer
                    while time.perf_counter() < began + pause_s:
                        pass
                used += cpu_s(process) - before
                session = HTTP(api_key="key-0", api_secret="secret-0")
                session.endpoint = url
                cancel_all(session)
        if listener is not None:
            listener.kill()
        report(
            "create-order over a bare socket"
            + (", four private topics listening" if listen else "")
            + (f", one each {pause_s * 1000:g} ms" if pause_s else ""),
            orders=len(latencies),
            per_second=round(len(latencies) / sum(latencies)),
            p50_us=round(percentile(latencies, 0.5) * 1e6),
            p99_us=round(percentile(latencies, 0.99) * 1e6),
            server_cpu_us_per_order=round(used / len(latencies) * 1e6),
        )


def start_listener(url: str) -> multiprocessing.process.BaseProcess:
    """A process that listens to the private topics of the first account."""
    context = multiprocessing.get_context("spawn")
    there, here = context.Pipe()
    process = context.Process(target=_listen, args=(url, there), daemon=True)
    process.start()
    here.recv()
    return process


def _listen(url: str, ready: Any) -> None:
    async def run() -> None:
        expires = time.time_ns() // 1_000_000 + 10_000
        signature = sign("secret-0", f"GET/realtime{expires}".encode())
        topics = ["order", "execution", "position", "wallet"]
        async with aiohttp.ClientSession() as session, session.ws_connect(_ws(url, "private"), max_msg_size=0) as ws:
            await ws.send_json({"op": "auth", "args": ["key-0", expires, signature]})
            await ws.receive()
            await ws.send_json({"op": "subscribe", "args": topics})
            await ws.receive()
            ready.send("listening")
            async for _ in ws:
                pass

    asyncio.run(run())


def _ws(url: str, channel: str) -> str:
    return url.replace("http", "ws", 1) + f"/v5/{channel}"


async def fan_out(connections: int, seconds: float) -> None:
    """Tickers of a lively market to many connections."""
    market = {"source": "synthetic", "symbols": {"BTCUSDT": {}}}
    with exchange(configuration(market=market, ticker_interval_ms=100)) as (url, process):
        lags: list[float] = []
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sockets = [await session.ws_connect(_ws(url, "public/linear")) for _ in range(connections)]
            for ws in sockets:
                await ws.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})

            async def read(ws: aiohttp.ClientWebSocketResponse) -> int:
                frames = 0
                async for message in ws:
                    frames += 1
                    sent = json.loads(message.data).get("ts")
                    if sent:
                        lags.append(time.time() * 1000 - sent)
                return frames

            readers = [asyncio.create_task(read(ws)) for ws in sockets]
            await asyncio.sleep(1)
            before, began, counted = cpu_s(process), time.perf_counter(), len(lags)
            await asyncio.sleep(seconds)
            used, took, frames = cpu_s(process) - before, time.perf_counter() - began, len(lags) - counted
            for ws in sockets:
                await ws.close()
            await asyncio.gather(*readers)
        report(
            "ticker fan-out",
            connections=connections,
            frames_per_second=round(frames / took),
            server_cpu_percent=round(used / took * 100, 1),
            server_cpu_us_per_frame=round(used / frames * 1e6, 1),
            p50_ms=round(statistics.median(lags), 1),
            p99_ms=round(percentile(lags, 0.99), 1),
        )


def memory(accounts: int, orders: int) -> None:
    """Resident memory with many accounts and resting orders."""
    with exchange(configuration()) as (url, process):
        empty = process.memory_info().rss
        for account in ACCOUNTS[:accounts]:
            session = HTTP(api_key=account.api_key, api_secret=account.api_secret)
            session.endpoint = url
            for start in range(0, orders, 10):
                batch = [order(number) for number in range(start, start + 10)]
                session.place_batch_order(category="linear", request=batch)
        full = process.memory_info().rss
        report(
            "memory",
            accounts=accounts,
            resting_orders=accounts * orders,
            rss_empty_mb=round(empty / 1e6, 1),
            rss_mb=round(full / 1e6, 1),
            bytes_per_order=round((full - empty) / (accounts * orders)),
        )


def history(count: int) -> None:
    """What an account remembers of each order that was filled: the order, its execution, its closed profit and loss."""
    exchange = alone(set())
    account, create = exchange.accounts["a0"], ROUTES["/v5/order/create"]

    def fill(number: int) -> None:
        buys = number % 2 == 0
        terms = {"side": "Buy" if buys else "Sell", "price": "59990.00" if buys else "60010.00"}
        Api(exchange).call(create, "", account, order(number) | terms, number)
        for side, ticks in ((Side.SELL, 599_000), (Side.BUY, 601_000), (Side.BUY, 600_000)):
            exchange.trade("BTCUSDT", side, ticks, Decimal(0), number)
        exchange.outbox.take()

    fill(0)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(1, count + 1):
        fill(number)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(account.executions) == count + 1
    report("history", filled_orders=count, bytes_per_filled_order=round(used / count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: a look, not a figure")
    quick = parser.parse_args().quick
    count = 800 if quick else 4000
    in_process(400)
    pybit_round_trips(count)
    raw_round_trips(count)
    raw_round_trips(count, pause_s=0.002)
    state_file_in_process(3 if quick else 30)
    state_file_over_a_socket(4 if quick else 40)
    raw_round_trips(count, listen=True)
    asyncio.run(fan_out(50, 3 if quick else 10))
    history(2000)
    memory(10 if quick else 50, 100)


if __name__ == "__main__":
    main()
