"""A night worked out by hand, stored by the real writer: what the commands that read the records are checked against.

alice trades on paper in one run and on testnet in the next; bob on mainnet, with a shadow strategy beside; each record
is a second after the one before, from `START_MS` on.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.records.record_types import (
    AlertRecord,
    CommandRecord,
    GridRecord,
    HealthRecord,
    Json,
    LatchRecord,
    ReconcileRecord,
    RunRecord,
    StreamGapRecord,
    TickerRecord,
    UtcMs,
    UtcUs,
)
from tests.store.session import START_MS, Session, write_all

D = Decimal

__all__ = ["START_MS", "Life", "make_night"]


class Life(Session):
    """The records of one account; `strategies` are (strat_id, symbol)."""

    strategies: tuple[tuple[str, str], ...] = (("btc_grid", "BTCUSDT"),)
    groups: tuple[str, ...] = ()

    def began(self, environment: str, event: str = "start", **values: Any) -> None:
        rows = [{"strat_id": name, "symbol": symbol} for name, symbol in self.strategies]
        config = {"account": {"name": "x", "groups": list(self.groups)}, "strategies": rows}
        self.add(
            RunRecord(
                event=event,
                about_run_id=values.pop("about", self.run_id),
                environment=environment,
                version="0.1.0",
                config_hash="abc",
                config=Json(json.dumps(config)),
                pid=4711,
                **values,
            )
        )

    def price(self, value: str) -> None:
        self.add(TickerRecord(symbol="BTCUSDT", last_price=D(value), exchange_ts=UtcMs(self.now_ms)))

    def another_run(self, run_id: str) -> None:
        self.recorder.run_id = self.run_id = run_id


def make_night(data_dir: Path) -> None:
    """See the module; the numbers in the comments are seconds after START_MS."""
    alice = Life(data_dir, "alice")
    alice.groups = ("night",)
    alice.began("paper")  # 1
    alice.price("100")  # 2
    levels = Json('[["98.0","Buy"],["99.0","Buy"],["100.0","Wait"],["101.0","Sell"]]')
    alice.add(
        GridRecord(strategy="btc_grid", symbol="BTCUSDT", version=1, anchor=D(100), last_fill=None, levels=levels)
    )
    alice.intent("sent", link="link-a")  # 4
    alice.order("link-a", "open")  # 5
    alice.intent("refused", reason="max_notional")  # 6, at 99
    alice.order("link-b", "rejected", ret_code=110007, reason="ab not enough")  # 7
    alice.add(_alert("no order gets through", "begun"))  # 8
    alice.add(LatchRecord(strategy="btc_grid", kind="paused", is_set=True, reason="paused by the operator"))  # 9
    alice.add(CommandRecord(strategy="btc_grid", name="pause", args=Json("{}"), ok=True, result="1 paused"))  # 10
    alice.fill("Buy", "99", "2")  # 12
    alice.fill("Sell", "101", "1", realised_pnl=D(2))  # 14
    alice.position("long", "1")  # 15
    alice.wallet("1002")  # 16
    alice.add(
        HealthRecord(
            state="trading",
            health="degraded",
            freshness="active",
            reasons="btc_grid: no order gets through",
            rss=1,
            loop_lag_us=1,
            tick_age_ms=1,
            reconnects=0,
            open_orders=1,
            unstored=0,
            queue_dropped=0,
        )
    )  # 17
    alice.price("101.5")  # 18
    alice.add(_alert("over", "ended"))  # 19
    alice.add(LatchRecord(strategy="btc_grid", kind="paused", is_set=False))  # 20
    alice.another_run("run-2")
    heard = UtcUs(alice.now_ms * 1000)
    alice.began("paper", "crashed", about="run-1", last_heartbeat=heard, reason="it never ended")  # 21
    alice.now_ms += 3_600_000
    alice.began("testnet")  # 1 h and 22
    ended = UtcUs(alice.now_ms * 1000)
    alice.add(ReconcileRecord(reason="start", ok=False, took_ms=10, error="no answer"))
    alice.add(StreamGapRecord(stream="private", started_at=UtcUs(ended - 2_000_000), ended_at=ended))
    alice.fill("Sell", "110", "1", realised_pnl=D(11))
    alice.fill("Buy", "100", "1", exec_type="Funding", fee=D("0.05"), closed_size=D(0))
    alice.position("long", "0")
    alice.order("link-t", "open", price=D(97))
    alice.close()
    bob = Life(data_dir, "bob", "run-b")
    bob.strategies = (("ltc_grid", "LTCUSDT"), ("ltc_shadow", "ETHUSDT"))
    bob.began("mainnet")
    bob.fill("Buy", "50", "1", strategy="ltc_grid", symbol="LTCUSDT")
    bob.fill("Sell", "51", "1", strategy="ltc_grid", symbol="LTCUSDT", realised_pnl=D(1))
    bob.fill("Buy", "10", "1", strategy="ltc_shadow", symbol="ETHUSDT", shadow=True, source="shadow")
    bob.position("long", "3", shadow=True)
    bob.close()
    write_all(data_dir)


def _alert(text: str, phase: str) -> AlertRecord:
    began = UtcUs((START_MS + 8000) * 1000)
    level = "INFO" if phase == "ended" else "ERROR"
    key = "refused.BTCUSDT"
    return AlertRecord(strategy="btc_grid", level=level, key=key, text=text, phase=phase, began_at=began, count=1)
