"""A small session worked out by hand, stored by the real writer: what the views are checked against."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from gridbot.records.journal import Journal
from gridbot.records.journal_reader import journal_directory
from gridbot.records.record_types import (
    AlertRecord,
    CommandRecord,
    ExecutionRecord,
    GridRecord,
    HealthRecord,
    IntentRecord,
    Json,
    LatchRecord,
    OrderRecord,
    PositionRecord,
    PublicTradeRecord,
    RawMessageRecord,
    ReconcileRecord,
    RunRecord,
    StreamGapRecord,
    TickerRecord,
    UtcMs,
    UtcUs,
    WalletRecord,
)
from gridbot.records.recorder import Recorder
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import WallClock, flush_all

START_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
DAY_MS = 86_400_000
D = Decimal
MAKER, TAKER = Decimal("0.0002"), Decimal("0.00055")


class Session:
    """Records with a clock of its own: each record is a second after the one before."""

    def __init__(self, data_dir: Path, account: str, run_id: str = "run-1", start_ms: int = START_MS) -> None:
        self.now_ms = start_ms
        journal = Journal(journal_directory(data_dir, account), account, "process")
        self.recorder = Recorder(account, run_id, journal, clock=WallClock(lambda: self.now_ms * 1000))
        self.run_id = run_id

    def add(self, record: Any) -> None:
        self.now_ms += 1000
        self.recorder.record(record)

    def run(self, event: str, about: str = "", **values: Any) -> None:
        defaults: dict[str, Any] = {
            "environment": "paper",
            "version": "0.1.0",
            "config_hash": "abc",
            "config": Json('{"name": "alice"}'),
            "pid": 4711,
        }
        self.add(RunRecord(event=event, about_run_id=about or self.run_id, **(defaults | values)))

    def fill(self, side: str, price: str, qty: str, *, direction: str = "long", **values: Any) -> None:
        closes = (side == "Sell") == (direction == "long")
        self.now_ms += 1000
        number = self.recorder.last_seq + 1
        value = Decimal(price) * Decimal(qty)
        defaults: dict[str, Any] = {
            "strategy": "btc_grid",
            "symbol": "BTCUSDT",
            "exec_id": f"exec-{number}",
            "order_id": f"order-{number}",
            "order_link_id": f"link-{number}",
            "direction": direction,
            "side": side,
            "price": Decimal(price),
            "qty": Decimal(qty),
            "leaves_qty": Decimal(0),
            "closed_size": Decimal(qty) if closes else Decimal(0),
            "fee": value * (MAKER if values.get("is_maker", True) else TAKER),
            "realised_pnl": Decimal(0),
            "exec_type": "Trade",
            "is_maker": True,
            "exchange_ts": UtcMs(self.now_ms),
        }
        self.add(ExecutionRecord(**(defaults | values)))

    def order(self, link: str, state: str, **values: Any) -> None:
        defaults: dict[str, Any] = {
            "strategy": "btc_grid",
            "symbol": "BTCUSDT",
            "order_link_id": link,
            "order_id": f"id-{link}",
            "direction": "long",
            "side": "Buy",
            "price": Decimal(99),
            "qty": Decimal(1),
            "cum_exec_qty": Decimal(0),
            "reduce_only": False,
            "state": state,
            "attempt": 1,
        }
        self.add(OrderRecord(**(defaults | values)))

    def intent(self, verdict: str, link: str = "", reason: str = "") -> None:
        self.add(
            IntentRecord(
                strategy="btc_grid",
                symbol="BTCUSDT",
                action="place",
                direction="long",
                side="Buy",
                price=Decimal(99),
                qty=Decimal(1),
                verdict=verdict,
                reason=reason,
                order_link_id=link,
                last_price=Decimal(100),
            )
        )

    def position(self, direction: str, size: str, *, shadow: bool = False) -> None:
        self.add(
            PositionRecord(
                strategy="btc_grid",
                symbol="BTCUSDT",
                direction=direction,
                size=Decimal(size),
                entry_price=Decimal(100),
                unrealised_pnl=Decimal("-1.5"),
                shadow=shadow,
            )
        )

    def wallet(self, equity: str) -> None:
        self.add(
            WalletRecord(
                coin="USDT", wallet_balance=Decimal(1000), equity=Decimal(equity), exchange_ts=UtcMs(self.now_ms)
            )
        )

    def close(self) -> None:
        self.recorder.close()


def make_session(data_dir: Path) -> None:
    """alice: a run that crashed and one that goes on, two days of trades; bob: a run that ended, a shadow strategy."""
    alice = Session(data_dir, "alice")
    alice.run("start")
    alice.add(TickerRecord(symbol="BTCUSDT", last_price=Decimal(100), exchange_ts=UtcMs(alice.now_ms)))
    alice.wallet("1000")
    alice.intent("sent", link="link-a")
    alice.order("link-a", "pending", order_id="")
    alice.order("link-a", "open")
    alice.intent("refused", reason="max_notional")
    alice.intent("refused", reason="max_notional")
    alice.intent("sent", link="link-b")
    alice.order("link-b", "rejected", ret_code=110007, reason="not enough balance")
    alice.order("link-c", "open", price=Decimal(98))
    alice.fill("Buy", "100", "2")
    alice.fill("Buy", "98", "1")
    alice.fill("Sell", "99", "1", realised_pnl=Decimal("-0.333333333333"))
    alice.order("link-a", "filled", cum_exec_qty=Decimal(1))
    alice.position("long", "2")
    alice.wallet("990")
    alice.recorder.run_id = alice.run_id = "run-2"
    alice.now_ms += DAY_MS
    alice.run("crashed", about="run-1", last_heartbeat=UtcUs((START_MS + 600_000) * 1000))
    alice.run("start")
    alice.fill("Sell", "102", "1", realised_pnl=Decimal("2.666666666667"), is_maker=False)
    alice.fill("Buy", "100", "1", exec_type="Funding", fee=Decimal("0.05"), closed_size=Decimal(0))
    alice.fill("Sell", "101", "3", direction="short")
    alice.fill("Buy", "99", "2", direction="short", realised_pnl=Decimal(4))
    alice.position("long", "1")
    alice.position("short", "1")
    alice.wallet("1005")
    add_what_happened(alice)
    alice.close()
    bob = Session(data_dir, "bob", "run-b")
    bob.run("start")
    bob.fill("Buy", "50", "1", strategy="ltc_shadow", symbol="LTCUSDT", shadow=True, source="shadow")
    bob.fill("Sell", "51", "1", strategy="ltc_shadow", symbol="LTCUSDT", shadow=True, realised_pnl=Decimal(1))
    bob.position("long", "3", shadow=True)
    bob.order("link-s", "open", shadow=True)
    bob.run("end", reason="stopped")
    bob.close()
    write_all(data_dir)


def add_what_happened(session: Session) -> None:
    """A record of each kind that is about the account rather than about its money."""
    ms = UtcMs(session.now_ms)
    session.add(ReconcileRecord(reason="start", ok=True, executions=2, adopted=1, took_ms=40))
    session.add(ReconcileRecord(reason="periodic", ok=False, took_ms=10_000, error="no answer"))
    levels = Json('[["98.0","Buy"],["99.0","Wait"],["100.0","Sell"]]')
    session.add(
        GridRecord(strategy="btc_grid", symbol="BTCUSDT", version=7, anchor=D(99), last_fill=None, levels=levels)
    )
    session.add(LatchRecord(strategy="btc_grid", kind="paused", is_set=True))
    session.add(LatchRecord(strategy="", kind="session_loss", is_set=True, reason="lost 250.00 USDT"))
    session.add(LatchRecord(strategy="btc_grid", kind="paused", is_set=False))
    session.add(AlertRecord(level="ERROR", key="session_loss_limit", text="lost 250.00 USDT"))
    began = UtcUs(session.now_ms * 1000)
    session.add(
        AlertRecord(level="INFO", key="session_loss_limit", text="resumed", phase="ended", began_at=began, count=3)
    )
    session.add(
        CommandRecord(name="pause", args=Json('{"strategy":"btc_grid"}'), ok=True, result="1 paused", who="op@host")
    )
    ended_at = UtcUs(session.now_ms * 1000)
    session.add(StreamGapRecord(stream="private", started_at=UtcUs(ended_at - 2_500_000), ended_at=ended_at))
    session.add(
        HealthRecord(
            state="trading",
            health="healthy",
            freshness="active",
            rss=56_000_000,
            loop_lag_us=900,
            tick_age_ms=40,
            reconnects=1,
            open_orders=14,
            unstored=3,
            queue_dropped=0,
        )
    )
    session.add(PublicTradeRecord(symbol="BTCUSDT", trade_id="t-1", side="Buy", price=D(100), qty=D(3), exchange_ts=ms))
    payload = Json('{"execId":"exec-12","execFee":"0.04"}')
    session.add(
        RawMessageRecord(
            strategy="btc_grid", symbol="BTCUSDT", topic="execution", ref_id="exec-12", payload=payload, exchange_ts=ms
        )
    )


def write_all(data_dir: Path, *, compacts: bool = False) -> None:
    """Put everything that is in the journals into the database; `compacts`: into the tables of its kinds."""
    writer = Writer(WriterSpec(data_dir, ()), {})
    flush_all(writer)
    if compacts:
        writer.compact()
    writer.close()
