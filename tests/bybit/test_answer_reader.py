"""Answers out of bytes: what counts as one, where it ends, and how much of it is read."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.bybit import answer_reader
from gridbot.bybit.answer_reader import MOST_BODY, MOST_HEAD, MOST_PIECES, AnswerReader
from gridbot.bybit.carrier import Answer, Unusable
from tests.bybit.raw_server import answer
from tests.case_table import case_table

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def read(*parts: bytes) -> tuple[Answer | None, AnswerReader]:
    """What is there after these bytes, and who has read them."""
    reader = AnswerReader()
    reader.expect()
    is_complete = False
    for part in parts:
        is_complete = reader.feed(part)
    return reader.take() if is_complete else None, reader


def body_of(*parts: bytes) -> bytes:
    found, _ = read(*parts)
    assert found is not None
    return found.content


def test_a_plain_answer_with_the_headers_that_somebody_reads() -> None:
    found, reader = read(answer(b'{"a":1}', "X-Bapi-Limit: 10", "Set-Cookie: x=y", "Keep-Alive: max=3, timeout=17"))
    assert found == Answer(
        200, {"x-bapi-limit": "10", "keep-alive": "max=3, timeout=17", "content-length": "7"}, b'{"a":1}'
    )
    assert found.json() == {"a": 1}
    assert not reader.ends_connection
    assert reader.keep_alive_s == 17


@case_table("told", ["timeout=x", "timeout", "", "max=5"])
def test_a_keep_alive_that_says_nothing(told: str) -> None:
    assert read(answer(b"", f"Keep-Alive: {told}"))[1].keep_alive_s is None


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_never_have_a_body_are_complete_at_their_head(status: int) -> None:
    found, reader = read(f"HTTP/1.1 {status} x\r\nConnection: keep-alive\r\n\r\n".encode())
    assert found is not None
    assert (found.status_code, found.content) == (status, b"")
    assert not reader.ends_connection


def test_what_comes_before_the_answer_is_not_the_answer() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Bapi-Limit: 1\r\n\r\n"
    found, reader = read(early + answer(b"x"))
    assert found == Answer(200, {"content-length": "1"}, b"x")
    assert not reader.ends_connection
    assert read(early)[0] is None


def test_endless_early_answers_have_an_end() -> None:
    with pytest.raises(Unusable, match="head of at most"):
        read(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000)


@pytest.mark.parametrize(
    "head",
    [
        "HTTP/1.1 200 OK\r\nConnection: close",
        "HTTP/1.0 200 OK",
    ],
)
def test_after_some_answers_the_connection_is_over(head: str) -> None:
    found, reader = read(f"{head}\r\nContent-Length: 1\r\n\r\nx".encode())
    assert found is not None
    assert reader.ends_connection


def test_http_1_0_may_keep_its_connection() -> None:
    _, reader = read(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx")
    assert not reader.ends_connection


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    found, reader = read(b"HTTP/1.1 200 OK\r\n\r\n", b"ab", b"cd")
    assert found is None
    assert reader.finish()
    assert reader.take().content == b"abcd"
    assert reader.ends_connection


@case_table("parts", [answer(b"12345")[:-1], CHUNKED + b"3\r\nabc\r\n", b"HTTP/1.1 200 OK\r\n", b""])
def test_an_answer_that_was_cut_is_none(parts: bytes) -> None:
    found, reader = read(parts)
    assert found is None
    assert not reader.finish()


def test_a_body_in_pieces() -> None:
    assert body_of(CHUNKED + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n") == b"abcde"


@pytest.mark.parametrize("behind", [answer(b"other"), b"garbage", b"HTTP/1.1 200"])
def test_what_follows_an_answer_ends_the_connection_and_changes_nothing(behind: bytes) -> None:
    found, reader = read(answer(b"first", "X-Bapi-Limit: 1") + behind)
    assert found is not None
    assert (found.content, found.headers["x-bapi-limit"]) == (b"first", "1")
    assert reader.ends_connection


@case_table(
    "bad",
    [
        b"garbage",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/7.3 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        CHUNKED + b"ffffffffffffffffff\r\n",
        CHUNKED + b"3\r\nabcd\r\n",
    ],
)
def test_what_is_no_answer_is_refused_at_once(bad: bytes) -> None:
    with pytest.raises(Unusable) as caught:
        read(bad)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_long_head_is_not_read_to_its_end() -> None:
    for line in (b"A: " + b"x" * MOST_HEAD, b"A: b\r\n" * 2000, b"A" * (MOST_HEAD + 1)):
        with pytest.raises(Unusable, match="head of at most"):
            read(b"HTTP/1.1 200 OK\r\n", line)


def test_a_long_trailer_is_not_read_to_its_end() -> None:
    with pytest.raises(Unusable, match="bytes beside the body"):
        read(CHUNKED, b"0\r\n", *(b"A: " + b"x" * (1 << 16) for _ in range(5)))


def test_a_body_that_will_be_too_long_is_refused_before_it_comes() -> None:
    with pytest.raises(Unusable, match=f"at most {MOST_BODY} bytes, got one of {MOST_BODY + 1}"):
        read(f"HTTP/1.1 200 OK\r\nContent-Length: {MOST_BODY + 1}\r\n\r\n".encode())


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", CHUNKED + f"{MOST_BODY * 2:x}\r\n".encode()])
def test_a_body_without_an_end_is_not_read_to_its_end(head: bytes) -> None:
    piece = b"x" * (1 << 20)
    with pytest.raises(Unusable, match="got more"):
        read(head, *[piece] * (MOST_BODY // len(piece) + 1))


def test_a_body_in_countless_pieces_is_not_read_to_its_end() -> None:
    with pytest.raises(Unusable, match="pieces"):
        read(CHUNKED + b"1\r\nx\r\n" * (MOST_PIECES + 1))


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZip"])
def test_a_body_that_was_packed_though_we_did_not_ask_for_it(name: str) -> None:
    assert body_of(answer(gzip.compress(b"word" * 100), f"Content-Encoding: {name}")) == b"word" * 100
    assert body_of(answer(zlib.compress(b"word"), "Content-Encoding: deflate")) == b"word"
    assert body_of(answer(b"word", "Content-Encoding: identity")) == b"word"


@case_table(
    ("body", "name"),
    [
        (b"not packed", "gzip"),
        (gzip.compress(b"word" * 100, mtime=0)[:-9], "gzip"),
        (b"x", "br"),
        (b"x", "gzip, gzip"),
    ],
)
def test_a_body_that_cannot_be_unpacked(body: bytes, name: str) -> None:
    with pytest.raises(Unusable):
        read(answer(body, f"Content-Encoding: {name}"))


def test_a_small_body_that_unpacks_into_a_huge_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_reader, "MOST_BODY", 1000)
    assert len(body_of(answer(gzip.compress(bytes(1000)), "Content-Encoding: gzip"))) == 1000
    with pytest.raises(Unusable, match="too much"):
        read(answer(gzip.compress(bytes(1001)), "Content-Encoding: gzip"))


def test_one_reader_for_all_answers_of_a_connection() -> None:
    reader = AnswerReader()
    for number in range(3):
        reader.expect()
        assert reader.feed(answer(str(number).encode(), "X-Bapi-Limit: 1" if number == 0 else "A: b"))
        found = reader.take()
        assert found.content == str(number).encode()
        assert ("x-bapi-limit" in found.headers) is (number == 0)


WHOLE = (
    answer(b'{"retCode":0}', "X-Bapi-Limit: 10"),
    b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"x"),
    CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    b"HTTP/1.1 204 x\r\n\r\n",
    b"garbage",
)


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 120), max_size=6))
def test_it_does_not_matter_how_bytes_are_cut(whole: bytes, cuts: list[int]) -> None:
    def outcome(parts: list[bytes]) -> object:
        try:
            return read(*parts)[0]
        except Unusable as error:
            return str(error)

    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(places) if a < b]
    assert outcome(pieces) == outcome([whole])


@given(st.binary(max_size=300))
def test_anything_at_all_is_an_answer_or_is_refused(data: bytes) -> None:
    for start in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED):
        with contextlib.suppress(Unusable):
            read(start + data)
