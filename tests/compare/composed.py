"""An hour of a live strategy and of its shadow, composed by hand, in a database made by the real writer.

docs/comparison.md compares the two: the shadow's fill at 59940 comes 12 s late, its close at 60000.1 is never filled,
one of its orders is refused, one is larger; all else is the same. `conf/maps/original-console.log` tells of that hour.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from gridbot.core import Direction, Side
from gridbot.orders.ids import Owner, wire_id
from gridbot.records.record_types import ExecutionRecord, IntentRecord, TickerRecord, UtcMs
from gridbot.records.recorder import Recorder
from supervisor.store.writer import Writer, WriterSpec
from tests.store.kit import flush_all, make_recorder

LIVE, SHADOW = "alice-btc", "alice-btc-shadow"
TICK = Decimal("0.1")
BEGIN = datetime(2026, 11, 2, 10, tzinfo=UTC)


def ms(moment: str) -> int:
    """A time of that hour, such as 07:30.250, in ms UTC."""
    minutes, _, seconds = moment.partition(":")
    return int(BEGIN.timestamp() * 1000) + int(minutes) * 60_000 + round(float(seconds) * 1000)


class Strategy:
    """Records what one strategy wants and does."""

    def __init__(self, recorder: Recorder, strategy: str) -> None:
        self._recorder, self._strategy, self._shadow = recorder, strategy, strategy == SHADOW
        self._owner = Owner.of("k3v0q8", strategy)
        self._number = 0

    def want(
        self,
        moment: str,
        action: str,
        leg: str,
        price: str,
        qty: str | None = "0.002",
        reason: str = "",
        verdict: str = "",
    ) -> str:
        direction, side = leg.split()
        self._number += 1
        ticks = int(Decimal(price) / TICK)
        link_id = wire_id(self._owner, Side(side), Direction(direction), ticks, self._number)
        self._recorder.record(
            IntentRecord(
                strategy=self._strategy,
                symbol="BTCUSDT",
                action=action,
                direction=direction,
                side=side,
                price=Decimal(price),
                qty=Decimal(qty) if qty else None,
                reduce_only=(direction == "long") == (side == "Sell"),
                verdict=verdict or ("shadow" if self._shadow else "sent"),
                reason=reason,
                order_link_id="" if verdict == "refused" else link_id,
                exchange_ts=UtcMs(ms(moment)),
            )
        )
        return link_id

    def fill(self, moment: str, leg: str, price: str, link_id: str, realised: str = "0", part: str = "0.002") -> None:
        direction, side = leg.split()
        self._number += 1
        self._recorder.record(
            ExecutionRecord(
                strategy=self._strategy,
                symbol="BTCUSDT",
                exec_id=f"{self._strategy}-{self._number}",
                order_id=f"o-{link_id}",
                order_link_id=link_id,
                direction=direction,
                side=side,
                price=Decimal(price),
                qty=Decimal(part),
                leaves_qty=Decimal(0),
                closed_size=Decimal(0),
                fee=Decimal(price) * Decimal(part) * Decimal("0.0002"),
                realised_pnl=Decimal(realised),
                exec_type="Trade",
                is_maker=True,
                shadow=self._shadow,
                exchange_ts=UtcMs(ms(moment)),
            )
        )


def compose(data_dir: Path) -> None:
    """Make the database of that hour."""
    recorder = make_recorder(data_dir)
    for name in (LIVE, SHADOW):
        one, is_shadow = Strategy(recorder, name), name == SHADOW
        late = 12 if is_shadow else 0
        first = one.want("0:0.2", "place", "long Buy", "59940")
        one.want("0:0.2", "place", "short Sell", "60060.1")
        one.want("0:0.2", "place", "long Buy", "59880")
        one.want("0:0.2", "place", "short Sell", "60120.2")
        one.fill(f"7:{30 + late}", "long Buy", "59940", first, part="0.0015")
        one.fill(f"7:{30 + late}.4", "long Buy", "59940", first, part="0.0005")
        close = one.want(f"7:{31 + late}", "place", "long Sell", "60000.1")
        if not is_shadow:
            one.fill("15:5", "long Sell", "60000.1", close, realised="0.1202")
        refused = {"verdict": "refused", "reason": "max_notional"} if is_shadow else {}
        one.want("20:0", "place", "long Buy", "59820.1", **refused)
        one.want("21:0", "place", "short Sell", "60180.3", "0.003" if is_shadow else "0.002")
        one.want("22:0", "cancel", "short Sell", "60120.2", None, reason="outside_grid")
    recorder.record(TickerRecord(symbol="BTCUSDT", last_price=Decimal("60010"), exchange_ts=UtcMs(ms("59:59"))))
    recorder.close()
    writer = Writer(WriterSpec(data_dir, ("alice",)), {})
    flush_all(writer)
    writer.close()
