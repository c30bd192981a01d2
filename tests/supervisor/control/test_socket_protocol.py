"""What a line on the control socket may be."""

from __future__ import annotations

from supervisor.control.socket_protocol import LONGEST_LINE, read_request
from tests.case_table import case_table


@case_table(
    "line",
    [
        *(b"", b"\n", b"[]", b"5", b"null", b"{}", b'{"op": 5}', b'{"op": ["ping"]}',),
        *(b"\xff\xfe", b'{"op": "\xed\xa0\x80"}'),
        *(b"[" * levels + b"]" * levels for levels in (201, 1000, 100_000)),
        b'{"op": "ping", "a": ' + b"[" * 900 + b"]" * 900 + b"}",
        *(b'{"op": "ping", "n": ' + number + b"}" for number in (b"9" * 5000, b"NaN", b"Infinity", b"1e400")),
        b'{"op": "' + b"x" * LONGEST_LINE + b'"}',
    ],
)  # fmt: skip
def test_what_is_no_request_is_told_in_words(line: bytes) -> None:
    refusal = read_request(line)
    assert isinstance(refusal, str)
    assert refusal.startswith("expected")
    assert len(refusal) < 300


def test_a_request() -> None:
    assert read_request(b'{"op": "ping", "number": 5}\n') == {"op": "ping", "number": 5}
