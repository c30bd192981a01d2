"""The same tape and the same grid in other backtesters, for `bin/bench backtest`; run by an interpreter that has them.

    PYTHON backtest_others.py hftbacktest|nautilus_trader TAPE.npz STEP

TAPE has `times_ms`, `prices` (ticks of 0.1 USDT), `sizes` (steps of 0.001) and `sides`. The grid: 2 x 25 levels, STEP
per cent apart, a Buy at each level below the first price and a Sell at each above; a level that is filled waits, and
the one that waited before gets an order of the other side. One leg, a fixed way of 10 ms, fees of a maker. It is less
than gridbot does: no second leg, no ladder that moves on, no caps, sizing, margin, funding or records. Prints JSON:
ticks, fills, CPU seconds without loading and compiling, and memory.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

LEVELS = 25
TICK, LOT = 0.1, 0.001
STEPS = 3
"""Of LOT: what each order is of."""
WAY_NS = 10_000_000
MAKER_FEE = 0.0002


def levels_around(first: int, step: float) -> Any:
    """51 prices in ticks, the first price in the middle."""
    return np.rint(first * (1 + step / 100) ** np.arange(-LEVELS, LEVELS + 1)).astype(np.int64)


def hftbacktest(tape: Any, step: float) -> dict[str, Any]:
    import hftbacktest as hft  # type: ignore[import-not-found, unused-ignore]
    from numba import njit  # type: ignore[import-not-found, unused-ignore]

    buy, sell, closed = hft.BUY, hft.SELL, (hft.FILLED, hft.EXPIRED)
    filled, expired = closed

    @njit  # type: ignore[untyped-decorator, unused-ignore]
    def trade(bot: Any, levels: Any, qty: float) -> int:
        waits, fills, number = LEVELS, 0, 1
        ids = np.zeros(len(levels), np.int64)
        if bot.wait_next_feed(False, 1_000_000_000_000) != 2:
            return 0
        for at in range(len(levels)):
            if at != waits:
                ids[at] = number
                if at < waits:
                    bot.submit_buy_order(0, number, levels[at] * TICK, qty, hft.GTX, hft.LIMIT, False)
                else:
                    bot.submit_sell_order(0, number, levels[at] * TICK, qty, hft.GTX, hft.LIMIT, False)
                number += 1
        while True:
            why = bot.wait_next_feed(True, 1_000_000_000_000_000)
            if why == 1:
                return fills
            if why != 3:
                continue
            orders = bot.orders(0)
            for at in range(len(levels)):
                if ids[at] == 0 or ids[at] not in orders:
                    continue
                order = orders.get(ids[at])
                if order.status == expired:  # the price has passed meanwhile
                    ids[at] = number
                    if levels[at] < levels[waits]:
                        bot.submit_buy_order(0, number, levels[at] * TICK, qty, hft.GTX, hft.LIMIT, False)
                    else:
                        bot.submit_sell_order(0, number, levels[at] * TICK, qty, hft.GTX, hft.LIMIT, False)
                    number += 1
                elif order.status == filled:
                    fills += 1
                    ids[at] = 0
                    ids[waits] = number
                    if waits < at:
                        bot.submit_buy_order(0, number, levels[waits] * TICK, qty, hft.GTX, hft.LIMIT, False)
                    else:
                        bot.submit_sell_order(0, number, levels[waits] * TICK, qty, hft.GTX, hft.LIMIT, False)
                    number += 1
                    waits = at
            bot.clear_inactive_orders(0)

    def bot_on(part: Any) -> Any:
        asset = (
            hft.BacktestAsset().data(part).linear_asset(1.0).constant_order_latency(WAY_NS, WAY_NS)
            .risk_adverse_queue_model().no_partial_fill_exchange().trading_value_fee_model(MAKER_FEE, MAKER_FEE)
            .tick_size(TICK).lot_size(LOT)
        )  # fmt: skip
        return hft.HashMapMarketDepthBacktest([asset])

    events = np.zeros(len(tape["times_ms"]), hft.event_dtype)
    bought = np.where(tape["sides"] > 0, hft.BUY_EVENT, hft.SELL_EVENT).astype(np.uint64)
    events["ev"] = bought | np.uint64(hft.TRADE_EVENT | hft.EXCH_EVENT | hft.LOCAL_EVENT)
    events["exch_ts"] = tape["times_ms"] * 1_000_000
    events["local_ts"] = events["exch_ts"] + WAY_NS
    events["px"], events["qty"] = tape["prices"] * TICK, tape["sizes"] * LOT
    levels = levels_around(int(tape["prices"][0]), step)
    assert (buy, sell) == (1, -1)
    trade(bot_on(events[:1000].copy()), levels, STEPS * LOT)  # compiled
    bot = bot_on(events)
    cpu = time.process_time()
    fills = trade(bot, levels, STEPS * LOT)
    return {"fills": int(fills), "cpu_s": time.process_time() - cpu}


def nautilus_trader(tape: Any, step: float) -> dict[str, Any]:
    from decimal import Decimal

    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from nautilus_trader.backtest.config import BacktestEngineConfig  # type: ignore[import-not-found, unused-ignore]
    from nautilus_trader.backtest.engine import BacktestEngine  # type: ignore[import-not-found, unused-ignore]
    from nautilus_trader.backtest.models import LatencyModel  # type: ignore[import-not-found, unused-ignore]
    from nautilus_trader.config import LoggingConfig, StrategyConfig  # type: ignore[import-not-found, unused-ignore]
    from nautilus_trader.model.currencies import BTC, USDT  # type: ignore[import-not-found, unused-ignore]
    from nautilus_trader.model.enums import (  # type: ignore[import-not-found, unused-ignore]
        AccountType,
        OmsType,
        OrderSide,
    )
    from nautilus_trader.model.identifiers import (  # type: ignore[import-not-found, unused-ignore]
        InstrumentId,
        Symbol,
        Venue,
    )
    from nautilus_trader.model.instruments import CryptoPerpetual  # type: ignore[import-not-found, unused-ignore]
    from nautilus_trader.model.objects import (  # type: ignore[import-not-found, unused-ignore]
        Money,
        Price,
        Quantity,
    )
    from nautilus_trader.persistence.wranglers import (  # type: ignore[import-not-found, unused-ignore]
        TradeTickDataWrangler,
    )
    from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found, unused-ignore]

    venue = Venue("BYBIT")
    instrument = CryptoPerpetual(
        instrument_id=InstrumentId(Symbol("BTCUSDT"), venue), raw_symbol=Symbol("BTCUSDT"), base_currency=BTC,
        quote_currency=USDT, settlement_currency=USDT, is_inverse=False, price_precision=1, size_precision=3,
        price_increment=Price.from_str("0.1"), size_increment=Quantity.from_str("0.001"), ts_event=0, ts_init=0,
        margin_init=Decimal("0.01"), margin_maint=Decimal("0.005"), maker_fee=Decimal(str(MAKER_FEE)),
        taker_fee=Decimal("0.00055"),
    )  # fmt: skip
    levels = levels_around(int(tape["prices"][0]), step)

    class Grid(Strategy):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__(StrategyConfig())
            self.fills, self.waits = 0, LEVELS
            self.at: dict[Any, int] = {}

        def on_start(self) -> None:
            self.subscribe_trade_ticks(instrument.id)

        def on_trade_tick(self, tick: Any) -> None:
            if not self.at:
                for at in range(len(levels)):
                    if at != self.waits:
                        self.place(at, OrderSide.BUY if at < self.waits else OrderSide.SELL)
                self.unsubscribe_trade_ticks(instrument.id)  # a grid needs its fills, and no price

        def place(self, at: int, side: Any) -> None:
            order = self.order_factory.limit(
                instrument.id, side, Quantity.from_str(f"{STEPS * LOT:.3f}"),
                Price.from_str(f"{levels[at] // 10}.{levels[at] % 10}"), post_only=True,
            )  # fmt: skip
            self.at[order.client_order_id] = at
            self.submit_order(order)

        def on_order_filled(self, event: Any) -> None:
            at = self.at[event.client_order_id]
            self.fills += 1
            self.place(self.waits, OrderSide.BUY if self.waits < at else OrderSide.SELL)
            self.waits = at

        def on_order_rejected(self, event: Any) -> None:
            at = self.at[event.client_order_id]
            self.place(at, OrderSide.BUY if at < self.waits else OrderSide.SELL)

    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True), run_analysis=False))
    engine.add_venue(
        venue, OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USDT)], base_currency=USDT,
        latency_model=LatencyModel(WAY_NS), trade_execution=True,
    )  # fmt: skip
    engine.add_instrument(instrument)
    frame = pd.DataFrame(
        {
            "price": tape["prices"] * TICK,
            "quantity": np.maximum(tape["sizes"], 1) * LOT,
            "buyer_maker": tape["sides"] < 0,
            "trade_id": np.arange(len(tape["prices"])).astype(str),
        },
        index=pd.to_datetime(tape["times_ms"], unit="ms", utc=True),
    )
    engine.add_data(TradeTickDataWrangler(instrument).process(frame))
    grid = Grid()
    engine.add_strategy(grid)
    cpu = time.process_time()
    engine.run()
    cpu = time.process_time() - cpu
    return {"fills": grid.fills, "cpu_s": cpu}


def main() -> int:
    name, path, step = sys.argv[1:]
    with np.load(path) as file:
        tape = {column: file[column] for column in file.files}
    found = globals()[name](tape, float(step))
    ticks = len(tape["prices"])
    found |= {"ticks": ticks, "ticks_per_s": round(ticks / found["cpu_s"]), "cpu_s": round(found["cpu_s"], 3)}
    found |= {"ticks_per_fill": round(ticks / max(1, found["fills"]))}
    print(json.dumps(found | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
