"""The proxy between a real client and a real server: what passes, what does not, and what becomes of connections."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from supervisor.polling import wait_until
from supervisor.trials.tcp_proxy import TO_CLIENT, TO_SERVER, Proxies, TcpProxy


class Echo:
    """A server that answers each line with the same in capitals, and remembers what it was asked."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.asked: list[bytes] = []
        self.sources: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, source = self._listening.accept()
                self.sources.append(source[0])
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as lines:
            for line in lines:
                self.asked.append(line.strip())
                connection.sendall(line.upper())

    def close(self) -> None:
        self._listening.close()


class Client:
    """A connection; `ask` is the answer, "" when it has ended, None when there is none."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60, source_address=(source, 0))

    def say(self, line: str) -> None:
        self._socket.sendall(f"{line}\n".encode())

    def hears(self, timeout_s: float = 60) -> str | None:
        self._socket.settimeout(timeout_s)
        try:
            return self._socket.recv(100).decode().strip()
        except TimeoutError:
            return None
        except OSError:
            return ""

    def ask(self, line: str) -> str | None:
        self.say(line)
        return self.hears()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    with Proxies() as proxies:
        yield proxies.to("127.0.0.1", echo.port)


SILENT_S = 0.05


def test_all_passes_with_the_address_of_the_client(echo: Echo, proxy: TcpProxy) -> None:
    client, other = Client(proxy.port), Client(proxy.port, "127.0.0.7")
    assert (client.ask("one"), other.ask("two"), client.ask("three")) == ("ONE", "TWO", "THREE")
    assert sorted(echo.sources) == ["127.0.0.1", "127.0.0.7"]
    client.close()
    assert other.ask("four") == "FOUR"


def test_what_is_cut_ends_and_is_refused_until_it_is_mended(proxy: TcpProxy) -> None:
    client = Client(proxy.port)
    assert client.ask("one") == "ONE"
    proxy.cut()
    assert client.hears() == ""
    assert Client(proxy.port).hears() == ""
    proxy.mend()
    assert Client(proxy.port).ask("two") == "TWO"


def test_a_silent_partition_ends_nothing_and_new_connections_lead_nowhere(echo: Echo, proxy: TcpProxy) -> None:
    client = Client(proxy.port)
    assert client.ask("one") == "ONE"
    proxy.hold()
    client.say("two")
    new = Client(proxy.port)  # half-open: it is accepted
    new.say("three")
    assert (client.hears(SILENT_S), new.hears(SILENT_S)) == (None, None)
    assert echo.asked == [b"one"]
    proxy.mend()
    assert (client.hears(), new.hears()) == ("TWO", "THREE")


def test_each_direction_can_be_held_back_by_itself(echo: Echo, proxy: TcpProxy) -> None:
    client = Client(proxy.port)
    assert client.ask("one") == "ONE"
    proxy.hold(TO_CLIENT)
    client.say("two")
    assert wait_until(lambda: echo.asked == [b"one", b"two"], timeout_s=60, every_s=0.01)
    assert client.hears(SILENT_S) is None
    proxy.mend()
    assert client.hears() == "TWO"


def test_what_has_lost_bytes_ends_when_it_is_mended(echo: Echo, proxy: TcpProxy) -> None:
    client, quiet = Client(proxy.port), Client(proxy.port)
    assert (client.ask("one"), quiet.ask("one")) == ("ONE", "ONE")
    proxy.lose(TO_SERVER)
    client.say("two")
    assert wait_until(lambda: any(line.broken for line in list(proxy._lines)), timeout_s=60, every_s=0.01)
    proxy.mend()
    assert client.hears() == "", "its bytes are missing"
    assert quiet.ask("three") == "THREE", "nothing of it was lost"
    assert b"two" not in echo.asked


def test_an_answer_is_lost_once(echo: Echo, proxy: TcpProxy) -> None:
    client, other = Client(proxy.port), Client(proxy.port)
    proxy.lose_answer_to(b"please")
    assert (client.ask("one"), other.ask("two")) == ("ONE", "TWO")
    assert client.ask("three please") == "", "the connection ends"
    assert echo.asked[-1] == b"three please", "the request has arrived"
    assert other.ask("four please") == "FOUR PLEASE"
    assert proxy.lost_answers == 1


def test_what_is_delayed_arrives_later_and_whole(echo: Echo, proxy: TcpProxy) -> None:
    client = Client(proxy.port)
    proxy.delay(0.1, TO_SERVER)
    said_s = time.monotonic()
    assert client.ask("one") == "ONE"
    assert time.monotonic() - said_s >= 0.1
    proxy.mend()
    assert client.ask("two") == "TWO"


def test_a_server_that_is_away_or_moves(echo: Echo, proxy: TcpProxy) -> None:
    here = proxy.server
    with socket.create_server(("127.0.0.1", 0)) as closed:
        proxy.server = ("127.0.0.1", closed.getsockname()[1])
    assert Client(proxy.port).hears() == ""
    proxy.server = here
    assert Client(proxy.port).ask("one") == "ONE"
