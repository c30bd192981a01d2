"""What the exchange says beside the truth while a fault lasts: old listings, unknown values, symbols that are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from gridbot.paper.api.dispatch import Reply, parse_query

__all__ = ["REALTIME", "STRANGE_PATHS", "OddAnswers", "strange_row"]

REALTIME, INSTRUMENTS = "/v5/order/realtime", "/v5/market/instruments-info"
STRANGE_PATHS = {
    "status": REALTIME,
    "qty": REALTIME,
    "side": "/v5/execution/list",
    "leg": "/v5/position/list",
}
"""In which listing a row stands of which a field has a value that nobody knows."""
STRANGE_TOPICS = {REALTIME: "order", "/v5/execution/list": "execution", "/v5/position/list": "position"}

Row = Mapping[str, Any]


class OddAnswers:
    """One per run; the network's faults come on top.

    `listed` are the open orders of the moment in which a replica stood still, None while none does; `strange` the row
    that stands in a listing besides, by path; `unlisted` the symbols that are listed no more.
    """

    def __init__(self) -> None:
        self.listed: list[Row] | None = None
        self.strange: dict[str, Row] = {}
        self.unlisted: set[str] = set()

    def altered(self, target: str, reply: Reply) -> Reply:
        """The answer to a request, `target` as it was sent."""
        path, _, query = target.partition("?")
        if not (self.unlisted or self.strange or self.listed is not None) or reply.status != 200:
            return reply
        params = parse_query(query)
        symbol = params.get("symbol", "")
        if path == INSTRUMENTS and symbol in self.unlisted:
            return _with(reply, [])
        rows: list[Row] | None = None
        if path == REALTIME and self.listed is not None:
            rows = [row for row in self.listed if _is_asked_for(row, params)]
        strange = self.strange.get(path)
        if strange is not None and not (params.get("orderId") or params.get("orderLinkId")):
            known = orjson.loads(reply.body)["result"].get("list", []) if rows is None else rows
            rows = [*known, strange] if symbol in ("", strange["symbol"]) else rows
        return reply if rows is None else _with(reply, rows)


def strange_row(symbol: str, how: str, now_ms: int) -> tuple[str, str, Row]:
    """(path, topic, row) with a value that nobody knows."""
    path = STRANGE_PATHS[how]
    times = {name: str(now_ms) for name in ("createdTime", "updatedTime", "execTime")}
    words = {"symbol": symbol, "side": "Buy", "orderType": "Limit", "orderStatus": "New", "execType": "Trade"}
    ids = {"orderId": f"strange-{how}", "execId": f"strange-{how}", "orderLinkId": "", "positionIdx": 1, "seq": 1}
    ones = ("price", "qty", "leavesQty", "execPrice", "execQty", "size", "entryPrice", "avgPrice")
    row = {**words, **ids, **dict.fromkeys(ones, "1"), **times}
    odd: dict[str, Row] = {"status": {"orderStatus": "Frozen"}, "side": {"side": "Hold"}, "leg": {"positionIdx": 7}}
    return path, STRANGE_TOPICS[path], {**row, **odd.get(how, {"qty": "many"})}


def _is_asked_for(row: Row, params: Mapping[str, str]) -> bool:
    wanted = {name: value for name in ("symbol", "orderId", "orderLinkId") if (value := params.get(name))}
    return all(row.get(name) == value for name, value in wanted.items())


def _with(reply: Reply, rows: list[Row]) -> Reply:
    envelope = orjson.loads(reply.body)
    if envelope["retCode"]:
        return reply
    if "nextPageCursor" in envelope["result"]:
        envelope["result"]["nextPageCursor"] = ""
    envelope["result"]["list"] = rows
    return reply._replace(body=orjson.dumps(envelope))
