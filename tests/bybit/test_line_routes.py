"""The way of a line, with each library: TLS with a verified certificate, an HTTP proxy, a peer that was stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import certifi
import pytest

from benchmarks.parts.latency_tls import Authority, server_context
from gridbot.bybit.socket_line import LineSettings
from gridbot.exchange.failures import ErrorKind
from tests.bybit.line_scenes import Make, call_accepted, over, quietly
from tests.bybit.raw_peer import TEXT, Call, RawPeer, dial, frame
from tests.bybit.support import eventually, run

IMPATIENT = LineSettings(ping_interval_s=0.1, ping_timeout_s=0.3, connect_s=5.0, goodbye_s=0.1)
STOPPED = """
import asyncio
from tests.bybit.line_scenes import call_accepted
from tests.bybit.raw_peer import TEXT, RawPeer, frame

async def script(call):
    call.writer.write(frame(TEXT, b"hello"))
    while True:
        await call.read_frame()

async def main():
    async with RawPeer(call_accepted(script)) as peer:
        print(peer.url, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


async def greets(call: Call) -> None:
    call.writer.write(frame(TEXT, b"hello"))


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one that this process trusts."""
    made = Authority.make(tmp_path)
    monkeypatch.setattr(certifi, "where", lambda: str(made.certificate))
    for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return made


@asynccontextmanager
async def proxy(asked: list[bytes], *, refuses: bool = False) -> AsyncIterator[str]:
    """An HTTP proxy that passes on what comes after CONNECT; its address."""
    tasks: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.partition(b"\r\n")[0])
        if refuses:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        tasks.extend(asyncio.ensure_future(each) for each in (pump(reader, back), pump(there, writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_line_over_tls_with_a_verified_certificate(each_line: Make, authority: Authority) -> None:
    async def scene() -> None:
        async with quietly(), RawPeer(call_accepted(greets), server_context(authority)) as peer:
            assert peer.url.startswith("wss://")
            hearer = dial(each_line, peer.url)
            await eventually(lambda: hearer.messages == [b"hello"])
            hearer.line.abandon()
            await over(hearer)

    run(scene())


def test_a_line_goes_by_the_http_proxy_of_the_environment(
    each_line: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        asked: list[bytes] = []
        async with RawPeer(call_accepted(greets), server_context(authority)) as peer, proxy(asked) as address:
            monkeypatch.setenv("https_proxy", address)
            hearer = dial(each_line, peer.url)
            await eventually(lambda: hearer.messages == [b"hello"])
            hearer.line.abandon()
            await over(hearer)
            host = peer.url.split("/")[2].encode()
            assert asked == [b"CONNECT " + host + b" HTTP/1.1"]

    run(scene())


def test_a_proxy_that_refuses_ends_the_line_before_the_exchange_hears_of_it(
    each_line: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        asked: list[bytes] = []
        tls = server_context(authority)
        async with RawPeer(call_accepted(greets), tls) as peer, proxy(asked, refuses=True) as address:
            monkeypatch.setenv("https_proxy", address)
            hearer = dial(each_line, peer.url)
            await over(hearer)
            assert (hearer.opens, len(hearer.ends), len(peer.calls)) == (0, 1, 0)

    run(scene())


@contextmanager
def another_process() -> Iterator[subprocess.Popen[str]]:
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    made = subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield made
    finally:
        made.kill()
        made.wait()


def test_a_peer_that_was_stopped_ends_the_line_though_its_kernel_still_answers(each_line: Make) -> None:
    async def scene() -> None:
        with another_process() as peer:
            assert peer.stdout is not None
            url = (await asyncio.to_thread(peer.stdout.readline)).strip()
            hearer = dial(each_line, url, IMPATIENT)
            await eventually(lambda: hearer.messages == [b"hello"])
            peer.send_signal(signal.SIGSTOP)
            hearer.line.send("is anybody there?")
            await eventually(lambda: hearer.ends)
            await over(hearer)
            assert [error.kind for error in hearer.ends] == [ErrorKind.RETRY]

    run(scene())
