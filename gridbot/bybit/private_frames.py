"""Messages of the private topics as events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from gridbot.bybit.mailbox import PrivateFrame
from gridbot.bybit.parse_account import parse_execution, parse_order, parse_position, parse_wallet
from gridbot.bybit.raw_fields import Row, RowProblem, need_text, parse_rows
from gridbot.exchange.stream_news import OneWayPosition, PrivateEvent

__all__ = ["DEAD_MAN_TOPIC", "PRIVATE_TOPICS", "UNREADABLE", "read_private"]

UNREADABLE = "(unreadable)"
"""The topic of a message that could not be read at all."""

_Parser = Callable[[Row], PrivateEvent | None]

_PARSERS: Mapping[str, Callable[[PrivateFrame], _Parser]] = {
    "order": lambda frame: parse_order,
    "execution": lambda frame: partial(parse_execution, received_ns=frame.received_ns),
    "position": lambda frame: _position,
    "wallet": lambda frame: partial(parse_wallet, exchange_ts=frame.sent_ms),
}


def _position(row: Row) -> PrivateEvent:
    """A leg; or the news that the symbol has no legs, since somebody has switched its mode."""
    return parse_position(row) or OneWayPosition(need_text(row, "symbol"))


PRIVATE_TOPICS = tuple(_PARSERS)
DEAD_MAN_TOPIC = "dcp.future"
"""While a private connection has it, and for some seconds more, the exchange does not cancel our orders (DCP)."""


def read_private(frame: PrivateFrame) -> tuple[list[PrivateEvent], list[RowProblem]]:
    """The events of a message in their order, and the rows that could not be read. Both empty for other topics."""
    if frame.topic == UNREADABLE:
        return [], [RowProblem(0, "the message cannot be read")]
    parser_for = _PARSERS.get(frame.topic)
    if parser_for is None:
        return [], []
    rows = frame.rows
    if isinstance(rows, list):  # the topics carry every category; only linear contracts are ours
        rows = [row for row in rows if not (isinstance(row, dict) and row.get("category", "linear") != "linear")]
    return parse_rows(parser_for(frame), rows, id_field="execId" if frame.topic == "execution" else "orderId")
