"""`insurance.USDT` and `adlAlert.USDT`: the insurance pool, and how far deleveraging is (docs/paper.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import orjson

from gridbot.paper.accounts.account import Account
from gridbot.paper.rows.pool_rows import COIN, adl_frame_row, insurance_row
from gridbot.paper.streams.frame_sender import FrameSender

__all__ = ["PoolTopics"]

INSURANCE, ALERTS = f"insurance.{COIN}", f"adlAlert.{COIN}"


class PoolTopics:
    """The pool is published when it has changed, the alerts each second."""

    topics = frozenset({INSURANCE, ALERTS})

    def __init__(
        self,
        symbols: Collection[str],
        accounts: Mapping[str, Account],
        sender: FrameSender,
        now_ms: Callable[[], int],
    ) -> None:
        self._symbols = symbols
        self._accounts = accounts
        self._sender = sender
        self._now_ms = now_ms
        self._shown = ""

    def snapshot(self, topic: str) -> bytes:
        """First frame of a new listener."""
        return self._frame(topic, "snapshot")

    def turn(self) -> None:
        """Publish what is due; call it each second."""
        if self._sender.has_listeners(ALERTS):
            self._sender.send(ALERTS, self._frame(ALERTS, "snapshot"))
        if not self._sender.has_listeners(INSURANCE):
            return
        balance = insurance_row(self._symbols, self._accounts.values())["balance"]
        if self._shown and balance != self._shown:
            self._sender.send(INSURANCE, self._frame(INSURANCE, "delta"))
        self._shown = balance

    def _frame(self, topic: str, kind: str) -> bytes:
        accounts, now_ms = self._accounts.values(), self._now_ms()
        rows: list[dict[str, Any]]
        if topic == ALERTS:
            rows = [adl_frame_row(symbol, accounts) for symbol in sorted(self._symbols)]
        else:
            pool = insurance_row(self._symbols, accounts)
            self._shown = pool["balance"]
            rows = [{name: pool[name] for name in ("coin", "symbols", "balance")} | {"updateTime": str(now_ms)}]
        return orjson.dumps({"topic": topic, "type": kind, "ts": now_ms, "data": rows})
