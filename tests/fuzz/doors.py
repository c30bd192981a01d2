"""The doors of the program, each with inputs of its own: what goes in, and what may come out.

A door's `try_one` takes one input and returns a word for what became of it. Anything that it raises, and any word that
is not in `expected`, is a find.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.fuzz import (
    exchange_doors,
    file_doors,
    market_doors,
    own_doors,
    paper_doors,
    socket_doors,
    stream_doors,
    trade_doors,
)
from tests.fuzz.mutations import bytes_of, changed, hurt, nasty

__all__ = ["DOORS", "Door"]


@dataclass(frozen=True)
class Door:
    """`expected`: its outcomes, the one of a good input first. `share`: of all inputs, by what each costs."""

    name: str
    make: Callable[[random.Random], Any]
    try_one: Callable[[Any], str]
    expected: tuple[str, ...]
    share: int = 100


def _any_of(documents: tuple[Any, ...], rng: random.Random) -> bytes:
    return bytes_of(rng, changed(rng, rng.choice(documents)))


def _anything(rng: random.Random) -> Any:
    return own_doors.text(rng) if rng.random() < 0.8 else nasty(rng)


def _answer(rng: random.Random) -> bytes:
    return bytes_of(rng, changed(rng, exchange_doors.ANSWER))


STREAMED = ("events", "problem", "no json")
ANSWERS = ("read", "unreadable", "refused", "no json", "no object")
HTTP = ("answer", "last answer", "unfinished", "refused")
DOORS = (
    Door("numbers", _anything, own_doors.number, ("number", "none"), 900),
    Door("log lines", _anything, own_doors.logged, ("line",), 60),
    Door("private streams", exchange_doors.private_frame, exchange_doors.private, STREAMED, 150),
    Door("market rows", exchange_doors.market_row, exchange_doors.market, ("read", "problem"), 200),
    Door("stream answers", stream_doors.conversation, stream_doors.told, ("heard", "refused", "unreadable"), 100),
    Door("ticker stream", exchange_doors.stream_bytes, exchange_doors.ticker, ("merged", "refused", "no object"), 200),
    Door("REST answers", _answer, exchange_doors.answered, ANSWERS, 150),
    Door("trade socket", trade_doors.answer, trade_doors.told, trade_doors.OUTCOMES, 150),
    Door("HTTP answers", exchange_doors.http_bytes, exchange_doors.http, HTTP, 300),
    Door("paper requests", paper_doors.request, paper_doors.requested, ("accepted", "refused"), 50),
    Door("paper heads", lambda rng: hurt(rng, paper_doors.HEAD), paper_doors.head, ("head", "none"), 600),
    Door("paper control", partial(_any_of, paper_doors.COMMANDS), paper_doors.commanded, ("done", "refused"), 80),
    Door("control socket", partial(_any_of, own_doors.SOCKET), own_doors.asked, ("request", "refused", "mistake"), 150),
    Door("journal", own_doors.frames, own_doors.journal, ("records", "refused", "damage"), 100),
    Door("paper sockets", socket_doors.word, socket_doors.said, ("done", "refused"), 60),
    Door("trade sockets", socket_doors.trade_message, socket_doors.asked, ("done", "refused"), 40),
    Door("paper paths", socket_doors.path_request, socket_doors.dispatched, ("accepted", "refused"), 40),
    Door("live market", socket_doors.live_frame, socket_doors.followed, ("moved", "still"), 60),
    Door("journal files", file_doors.segments, file_doors.read_back, ("records", "damage"), 8),
    Door("documents", file_doors.stored, file_doors.read_document, ("read", "refused", "set aside"), 100),
    Door("ledger", file_doors.ledger_document, file_doors.ledger, ("read", "refused"), 60),
    Door("paper state", file_doors.paper_state, file_doors.paper_opened, ("read", "refused"), 3),
    Door("replay files", file_doors.trade_file, file_doors.replayed, ("trades", "refused"), 20),
    Door("catalogue", file_doors.catalogue, file_doors.listings, ("listings", "refused"), 20),
    Door("log files", file_doors.log_line, file_doors.logs, ("line", "below"), 100),
    Door("market files", market_doors.market_file, market_doors.imported, ("days", "refused", "nothing"), 4),
    Door("market days", market_doors.day_file, market_doors.day_read, ("read", "refused"), 10),
    Door("logs of others", market_doors.log_of_others, market_doors.others_read, ("rows", "refused", "none"), 30),
    Door("log maps", market_doors.log_map, market_doors.map_read, ("read", "refused"), 4),
    Door("configuration", own_doors.file, own_doors.configured, ("read", "refused"), 3),
)
