"""Bytes of a connection as answers, one after another, with an end to all that the other side can make long. No I/O.

httptools takes the bytes apart. What it does not know is counted here: bytes of the head, of the body and of all, and
pieces of a chunked body. An answer without a length ends with its connection.
"""

from __future__ import annotations

import zlib
from typing import Final

import httptools

from gridbot.bybit.carrier import Answer, Unusable
from gridbot.core.strict_numbers import whole_or_none

__all__ = ["MOST_BODY", "MOST_HEAD", "MOST_PIECES", "AnswerReader"]

MOST_HEAD: Final = 1 << 15
"""Bytes of all header fields of an answer, with those of trailers and of 1xx answers before it."""
MOST_BODY: Final = 1 << 23
"""Bytes of a body, before and after it was decoded; the longest listing has one page of a thousand rows."""
MOST_PIECES: Final = 20_000
"""Chunks of a body."""
MOST_FRAMING: Final = 1 << 18
"""Bytes that are no body: sizes of its pieces and what follows them."""
FIELD: Final = 32
"""What a header field or the start of an answer counts for beside its own bytes."""

LONG_HEAD: Final = f"expected a head of at most {MOST_HEAD} bytes, got more"
LONG_FRAMING: Final = f"expected at most {MOST_FRAMING} bytes beside the body, got more"
READ: Final = {
    name.encode(): name
    for name in (
        "x-bapi-limit",
        "x-bapi-limit-status",
        "x-bapi-limit-reset-timestamp",
        "content-encoding",
        "content-length",
        "transfer-encoding",
        "keep-alive",
    )
}
"""Headers that are kept."""


class _TooMuch(Exception):
    """Raised through httptools, which stops there."""


class AnswerReader:
    """One per connection. `expect` an answer, `feed` what comes, until `is_complete`; then `take` it.

    `ends_connection`: nothing may follow on this connection.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.expect()
        self.is_complete = True
        """Until the first `expect`: what comes now, nobody has asked for."""

    def expect(self) -> None:
        """The next answer begins."""
        self.is_complete = False
        self.ends_connection = False
        self.has_begun = False
        """Whether a byte of it has come."""
        self._size = self._head = self._length = self._pieces = 0
        self._fault = ""
        self._start()

    def _start(self) -> None:
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._is_body = False

    def feed(self, data: bytes) -> bool:
        """Take bytes; whether the answer is complete. Raises Unusable: then the connection is of no use either."""
        self.has_begun = True
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.ends_connection = True  # also when it only went wrong behind the end of the answer
            if not self.is_complete:
                raise Unusable(self._fault or "it is not HTTP") from None
        # httptools tells of a field when it is whole, and has no limit to its length.
        if not self.is_complete and self._size - self._length > (MOST_FRAMING if self._is_body else MOST_HEAD):
            raise Unusable(LONG_FRAMING if self._is_body else LONG_HEAD)
        return self.is_complete

    def finish(self) -> bool:
        """The connection has ended; whether the answer is complete now."""
        if self._is_body and not self.is_complete and self._ends_with_the_connection():
            self.is_complete = self.ends_connection = True
            return True
        return False

    def take(self) -> Answer:
        """The complete answer. Raises Unusable when its body cannot be decoded."""
        content = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        encoding = self._headers.get("content-encoding")
        if encoding is not None and encoding.lower() != "identity":
            content = _decoded(content, encoding.lower())
        return Answer(self._parser.get_status_code(), self._headers, content)

    @property
    def keep_alive_s(self) -> int | None:
        """How long the other side keeps an idle connection, if it has said so; seconds."""
        told = self._headers.get("keep-alive")
        for part in told.split(",") if told else ():
            name, _, value = part.strip().partition("=")
            if name.lower() == "timeout":
                return whole_or_none(value)
        return None

    # ------------------------------------------------------------------ called by httptools

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise _TooMuch  # a second answer, to one request
        self._head += FIELD
        if self._head > MOST_HEAD:
            self._stop(LONG_HEAD)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += FIELD + len(name) + len(value)
        if self._head > MOST_HEAD:
            self._stop(LONG_HEAD)
        known = READ.get(name.lower())
        if known is not None:
            self._headers[known] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._is_body = True
        if self._parser.get_status_code() < 100:
            self._stop("it is not HTTP")
        length = whole_or_none(self._headers.get("content-length"))
        if length is not None and length > MOST_BODY:
            self._stop(f"expected a body of at most {MOST_BODY} bytes, got one of {length}")

    def on_chunk_header(self) -> None:
        self._pieces += 1
        if self._pieces > MOST_PIECES:
            self._stop(f"expected a body in at most {MOST_PIECES} pieces, got more")

    def on_body(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > MOST_BODY:
            self._stop(f"expected a body of at most {MOST_BODY} bytes, got more")
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # the answer itself follows
            self._start()
            return
        self.is_complete = True
        if not self._parser.should_keep_alive():
            self.ends_connection = True

    # ------------------------------------------------------------------ inside

    def _stop(self, fault: str) -> None:
        self._fault = fault
        raise _TooMuch

    def _ends_with_the_connection(self) -> bool:
        coding = self._headers.get("transfer-encoding", "")
        return "content-length" not in self._headers and not coding.lower().rstrip().endswith("chunked")


def _decoded(content: bytes, encoding: str) -> bytes:
    """We ask for no encoding; who uses one all the same is understood, to the same length."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Unusable("expected a body without an encoding, or gzip, got another one")
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        whole = decoder.decompress(content, MOST_BODY)
    except zlib.error:
        raise Unusable("expected a gzip body, got something else") from None
    if not decoder.eof:
        raise Unusable("expected a whole gzip body, got a part, or too much")
    return whole
