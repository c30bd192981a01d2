"""Compares the exchange's answers with reference payloads: field sets, types, enumerations.

A reference is any JSON of the same endpoint or topic; numbers need not agree. References come from the shared captures
when they are there, and always from `shapes`, a table of our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridbot.core.events import OrderStatus

SHARED = Path(__file__).parents[3] / "shared" / "data"
SHAPES = SHARED / "bybit-shapes"
FRAMES = SHARED / "bybit-frames" / "BYBIT.jsonl.zst"

CANCEL_TYPES = """
UNKNOWN CancelByUser CancelByReduceOnly CancelByPrepareLiq CancelAllBeforeLiq CancelByPrepareAdl CancelAllBeforeAdl
CancelByAdmin CancelBySettle CancelByTpSlTsClear CancelBySmp CancelByDCP
"""
CREATE_TYPES = """
CreateByUser CreateByBboOrder CreateByAdminClosing CreateBySettle
CreateByStopOrder CreateByTakeProfit CreateByPartialTakeProfit
CreateByStopLoss CreateByPartialStopLoss CreateByTrailingStop CreateByLiq CreateByTakeOver_PassThrough
CreateByAdl_PassThrough
"""
STOP_ORDER_TYPES = "TakeProfit StopLoss TrailingStop Stop PartialTakeProfit PartialStopLoss UNKNOWN"

ENUMS: dict[str, frozenset[str]] = {
    "side": frozenset({"Buy", "Sell", "None", ""}),
    "S": frozenset({"Buy", "Sell"}),
    "orderStatus": frozenset(status.value for status in OrderStatus),
    "orderType": frozenset({"Limit", "Market", "UNKNOWN"}),
    "timeInForce": frozenset({"GTC", "IOC", "FOK", "PostOnly", "RPI"}),
    "cancelType": frozenset(CANCEL_TYPES.split()),
    "execType": frozenset({"Trade", "Funding", "BustTrade", "AdlTrade", "Settle", "Delivery", "BlockTrade"}),
    "positionStatus": frozenset({"Normal", "Liq", "Adl"}),
    "createType": frozenset({"", *CREATE_TYPES.split()}),
    "stopOrderType": frozenset({"", *STOP_ORDER_TYPES.split()}),
    "tpslMode": frozenset({"Full", "Partial", "UNKNOWN", ""}),
    "triggerBy": frozenset({"LastPrice", "MarkPrice", "IndexPrice", ""}),
    "tpTriggerBy": frozenset({"LastPrice", "MarkPrice", "IndexPrice", ""}),
    "slTriggerBy": frozenset({"LastPrice", "MarkPrice", "IndexPrice", ""}),
    "slippageToleranceType": frozenset({"TickSize", "Percent", "UNKNOWN"}),
    "smpType": frozenset({"None", "CancelMaker", "CancelTaker", "CancelBoth"}),
    "tickDirection": frozenset({"PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"}),
    "L": frozenset({"PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick"}),
    "contractType": frozenset({"LinearPerpetual"}),
    "status": frozenset({"PreLaunch", "PendingOpen", "Trading", "Settling", "Delivering", "Closed"}),
    "accountType": frozenset({"UNIFIED"}),
    "marginMode": frozenset({"REGULAR_MARGIN", "ISOLATED_MARGIN", "PORTFOLIO_MARGIN"}),
    "type": frozenset({"snapshot", "delta", "TRANSFER_IN", "TRADE", "SETTLEMENT", "LIQUIDATION"}),
}

ABSENT_HERE: dict[str, str] = {
    "mmrSysUpdateTime": "a misspelling of one documentation example",
    "isIsolated": "gone from V5",
    "delta": "options only",
    "gamma": "options only",
    "vega": "options only",
    "theta": "options only",
}
"""Reference fields that this exchange does not send, each with its reason."""

NEWER_KINDS = {("smpGroup", "text")}
"""Fields that have become of another kind since the references were taken: text in orders since August 2026."""


@dataclass(frozen=True)
class Difference:
    """One finding; `path` leads into the payload."""

    path: str
    problem: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"


def compare(reference: Any, ours: Any, path: str = "") -> Iterator[Difference]:
    """Differences of kind between two payloads."""
    if reference is None or ours is None:
        return
    if _kind(reference) != _kind(ours):
        yield Difference(path, f"expected {_kind(reference)}, got {_kind(ours)} {ours!r}")
        return
    if isinstance(reference, dict):
        for name, value in reference.items():
            if name in ours and (name, _kind(ours[name])) in NEWER_KINDS:
                continue
            if name in ours:
                yield from compare(value, ours[name], f"{path}.{name}")
            elif name not in ABSENT_HERE:
                yield Difference(path, f"field {name!r} is missing")
    elif isinstance(reference, list) and reference and ours:
        yield from compare(reference[0], ours[0], f"{path}[]")


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "object" if isinstance(value, dict) else "list"


def wrong_enums(payload: Any, path: str = "") -> Iterator[Difference]:
    """Values of enumerated fields that Bybit does not have."""
    if isinstance(payload, list):
        for item in payload:
            yield from wrong_enums(item, f"{path}[]")
    elif isinstance(payload, dict):
        for name, value in payload.items():
            if isinstance(value, str) and name in ENUMS and value not in ENUMS[name]:
                yield Difference(f"{path}.{name}", f"{value!r} is no value of Bybit's")
            yield from wrong_enums(value, f"{path}.{name}")


def endpoint_file(name: str) -> tuple[str, Any]:
    """(path, answer) of a file of `bybit-shapes/Endpoints/V5Api`."""
    lines = (SHAPES / "Endpoints" / "V5Api" / name).read_text(encoding="utf-8-sig", errors="replace").splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip() == "{")
    return lines[1].strip().partition("?")[0], json.loads("\n".join(lines[start:]))


def topic_file(name: str) -> Any:
    """The pushed message of a file of `bybit-shapes/Subscriptions/V5`."""
    text = (SHAPES / "Subscriptions" / "V5" / name).read_text(encoding="utf-8-sig")
    return json.JSONDecoder().raw_decode(text[text.index("\n{") + 1 :])[0]


def captured() -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """(first frame by topic and type, first 20 instruments) of the recorded mainnet session."""
    import duckdb

    query = "SELECT json FROM read_ndjson_objects(?, compression='zstd', maximum_object_size=100000000)"
    frames: dict[str, dict[str, Any]] = {}
    instruments: list[dict[str, Any]] = []
    for (line,) in duckdb.connect().execute(query, [str(FRAMES)]).fetchall():
        record = json.loads(line)
        if record["t"] == "http" and "category=linear" in record["url"]:
            instruments = [
                row
                for row in json.loads(record["data"])["result"]["list"]
                if row["symbol"] in ("BTCUSDT", "ETHUSDT", "SOLUSDT", "LTCUSDT", "DOGEUSDT", "XRPUSDT")
            ]
        if record["t"] == "recv" and record["conn"].endswith(".2"):
            frame = json.loads(record["data"])
            key = f"{frame.get('topic', 'ack').split('.')[0]} {frame.get('type', '')}".strip()
            frames.setdefault(key, frame)
    return frames, instruments
