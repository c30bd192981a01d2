"""The short way for plain requests, and the way from there to aiohttp, on one connection."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from gridbot.paper.server.fast_http import parse_head
from tests.paper.support import Venue

TIME = b"GET /v5/market/time HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def raw(venue: Venue) -> Iterator[socket.socket]:
    with socket.create_connection((venue.server.host, venue.server.port), timeout=5) as connection:
        yield connection


def answers(connection: socket.socket, count: int) -> list[dict[str, object]]:
    """The bodies of the next answers."""
    found: list[dict[str, object]] = []
    data = b""
    while len(found) < count:
        data += connection.recv(65536)
        while (end := data.find(b"\r\n\r\n")) >= 0:
            head = data[:end].lower()
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(data) < end + 4 + length:
                break
            found.append(json.loads(data[end + 4 : end + 4 + length]))
            data = data[end + 4 + length :]
    return found


def test_a_request_may_come_in_pieces_and_several_in_one(raw: socket.socket) -> None:
    for byte in TIME:
        raw.sendall(bytes([byte]))
    raw.sendall(TIME + TIME)
    assert [answer["retCode"] for answer in answers(raw, 3)] == [0, 0, 0]


def test_a_body_that_comes_after_its_head(raw: socket.socket) -> None:
    raw.sendall(b"POST /v5/order/create HTTP/1.1\r\nContent-Length: 14\r\n\r\n")
    raw.sendall(b'{"category')
    raw.sendall(b'":1}')
    assert answers(raw, 1)[0]["retCode"] == 10001


@pytest.mark.parametrize(
    "unusual",
    [
        b"GET /v5/market/time HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n",
        b"POST /v5/market/time HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"GET /v5/market/time HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_unusual_requests_go_the_long_way(unusual: bytes, raw: socket.socket) -> None:
    assert parse_head(unusual.partition(b"\r\n\r\n")[0]) is None
    raw.sendall(TIME)
    assert answers(raw, 1)[0]["retCode"] == 0
    raw.sendall(unusual)
    data = raw.recv(65536)
    assert data.startswith(b"HTTP/1.1 ")
    assert b" 500 " not in data.partition(b"\r\n")[0]


def test_nonsense_is_answered_with_400(raw: socket.socket) -> None:
    raw.sendall(b"\x16\x03\x01 tls?\r\n\r\n")
    assert b" 400 " in raw.recv(65536).partition(b"\r\n")[0]
