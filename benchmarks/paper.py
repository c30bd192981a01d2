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
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # a checkout need not be installed

from benchmarks.parts.paper_alone import history, in_process
from benchmarks.parts.paper_crowd import Crowd
from benchmarks.parts.paper_requests import (
    ACCOUNTS,
    cancel_all,
    client,
    configuration,
    cpu_s,
    exchange,
    order,
    percentile,
    raw_request,
    report,
)
from benchmarks.parts.paper_state_file import state_file_in_process, state_file_over_a_socket
from gridbot.paper.api.auth import sign


def pybit_round_trips(count: int) -> None:
    """Create-order round trips with pybit, one after the other."""
    with exchange(configuration()) as (url, process):
        session = client(url)
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
                cancel_all(client(url))
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


async def crowd(seconds: float) -> None:
    """Two hundred connections: 80 hear tickers ten times a second, 60 the orders of 50 accounts, 60 ask in turn."""
    market = {"source": "synthetic", "symbols": {"BTCUSDT": {}}}
    with exchange(configuration(market=market, ticker_interval_ms=100)) as (url, process):
        async with Crowd(url, ACCOUNTS, public=80, private=60, http=60) as everyone:
            before, began, waits = cpu_s(process), time.perf_counter(), []
            while (asked := time.perf_counter()) < began + seconds:
                answers = await everyone.ask_all("/v5/account/wallet-balance", "accountType=UNIFIED")
                assert all(answer["retCode"] == 0 for answer in answers)
                waits.append(time.perf_counter() - asked)
            used, took = cpu_s(process) - before, time.perf_counter() - began
            frames = sum(len(each) for socket in everyone.public for each in socket.frames.values())
        report(
            "200 connections: 80 public, 60 private, 60 HTTP",
            queries_per_second=round(60 * len(waits) / took),
            sixty_queries_p50_ms=round(statistics.median(waits) * 1e3, 1),
            ticker_frames_per_second=round(frames / took),
            server_cpu_percent=round(used / took * 100, 1),
        )


def memory(accounts: int, orders: int) -> None:
    """Resident memory with many accounts and resting orders."""
    with exchange(configuration()) as (url, process):
        empty = process.memory_info().rss
        for account in ACCOUNTS[:accounts]:
            session = client(url, account)
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
    asyncio.run(crowd(3 if quick else 10))
    history()
    memory(10 if quick else 50, 100)


if __name__ == "__main__":
    main()
