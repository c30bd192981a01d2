"""The faults that do something: to the exchange, the worker or the prices, at their begin and some at their end.

Those that only say what becomes of requests, frames and writes while they last are in `network` and `memory_files`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import partial

from gridbot.simulation import contract_changes, strange_money
from gridbot.simulation.odd_answers import strange_row
from gridbot.simulation.reloads import begin_reload
from gridbot.simulation.run_faults import Fault, FaultKind
from gridbot.simulation.scene import PRICES, TICKS
from gridbot.simulation.stage import Stage

__all__ = ["ENDINGS", "HAPPENINGS"]

HAND_QTY = {"BTCUSDT": "0.002", "ETHUSDT": "0.05", "SOLUSDT": "1"}
LINEAR: dict[str, object] = {"category": "linear"}


def _drop(stage: Stage, fault: Fault) -> bool:
    stage.wires.cut(str(fault.what["channel"]))
    return True


def _death(stage: Stage, fault: Fault) -> bool:
    life = stage.life
    if life is None or life.is_over:
        return False
    loop = stage.loop
    loop.fused, loop.fuse = life, int(fault.what["steps"])
    loop.on_fuse = lambda: stage.die(life, fault)
    return True


def _restart(stage: Stage, fault: Fault) -> bool:
    return stage.ask_to_stop()


def _stall(stage: Stage, fault: Fault) -> bool:
    if stage.life is None:
        return False
    stage.loop.stall(stage.life, fault.for_s)
    return True


def _worker_clock(stage: Stage, fault: Fault, times: int = 1) -> bool:
    """The worker's clock is off by so much more; by so much less with -1."""
    stage.clock.wall_error_ms += times * int(fault.what["ms"])
    return True


def _exchange_clock(stage: Stage, fault: Fault, times: int = 1) -> bool:
    """Likewise the exchange's."""
    stage.clock.exchange_error_ms += times * int(fault.what["ms"])
    return True


def _exchange_restart(stage: Stage, fault: Fault) -> bool:
    stage.venue.restart()
    stage.wires.cut("")
    return True


def _picked_leg(stage: Stage, fault: Fault) -> tuple[str, str, int]:
    """Symbol, side and position index that a fault picks; one-way where nobody set hedge mode."""
    symbol, pick = str(fault.what["symbol"]), int(float(fault.what["pick"]) * 4)
    hedge = stage.venue.account.hedge.get(symbol, False)
    side = ("Buy", "Sell")[pick % 2]
    return symbol, side, (1 + pick // 2) if hedge else 0


def _hand_trade(stage: Stage, fault: Fault) -> bool:
    symbol, side, idx = _picked_leg(stage, fault)
    if symbol in stage.symbols and symbol not in stage.venue.account.hedge:
        return False  # a position from before the first start: its symbol cannot be switched, which is an operator's
    row = {"symbol": symbol, "side": side, "orderType": "Market", "qty": HAND_QTY[symbol], "positionIdx": idx}
    return "error" not in stage.venue.ask_by_hand("POST", "/v5/order/create", {**LINEAR, **row})


def _hand_order(stage: Stage, fault: Fault) -> bool:
    symbol, side, idx = _picked_leg(stage, fault)
    last = stage.venue.exchange.markets[symbol].last
    away = Decimal("0.99") if side == "Buy" else Decimal("1.01")
    instrument = stage.venue.exchange.markets[symbol].instrument
    price = instrument.price(instrument.ticks(last * away))
    row = {"symbol": symbol, "side": side, "orderType": "Limit", "qty": HAND_QTY[symbol], "positionIdx": idx}
    return "error" not in stage.venue.ask_by_hand("POST", "/v5/order/create", {**LINEAR, **row, "price": f"{price:f}"})


def _one_of_ours(stage: Stage, fault: Fault) -> dict[str, object] | None:
    ours = list(stage.venue.ours())
    if not ours:
        return None
    order = ours[int(float(fault.what["pick"]) * len(ours))]
    return {**LINEAR, "symbol": order.symbol, "orderId": order.order_id, "price_now": order.price}


def _hand_cancel(stage: Stage, fault: Fault) -> bool:
    row = _one_of_ours(stage, fault)
    if row is None:
        return False
    del row["price_now"]
    return "error" not in stage.venue.ask_by_hand("POST", "/v5/order/cancel", row)


def _hand_amend(stage: Stage, fault: Fault) -> bool:
    row = _one_of_ours(stage, fault)
    if row is None:
        return False
    price = row.pop("price_now")
    assert isinstance(price, Decimal)
    instrument = stage.venue.exchange.markets[str(row["symbol"])].instrument
    moved = instrument.price(instrument.ticks(price) + int(fault.what["ticks"]))
    return "error" not in stage.venue.ask_by_hand("POST", "/v5/order/amend", {**row, "price": f"{moved:f}"})


def _picked(stage: Stage, fault: Fault) -> str:
    """A symbol with orders of ours; of an account without any, one of a shadow strategy."""
    symbols = stage.symbols or stage.moving
    return symbols[int(float(fault.what["pick"]) * len(symbols))]


def _tick_change(stage: Stage, fault: Fault) -> bool:
    symbol = _picked(stage, fault)
    tick_size = TICKS[symbol] * Decimal(str(fault.what["times"]))
    if tick_size == stage.venue.exchange.markets[symbol].instrument.tick_size:
        return False
    stage.venue.exchange.change_rules(symbol, tick_size=tick_size)
    return True


def _switch_mode(stage: Stage, symbol: str, mode: int) -> bool:
    """By hand: all orders and positions of the symbol have to go first."""
    venue, of_symbol = stage.venue, {**LINEAR, "symbol": symbol}
    venue.ask_by_hand("POST", "/v5/order/cancel-all", of_symbol)
    for (name, idx), leg in list(venue.account.legs.items()):
        if name == symbol and leg.size:
            row = {"side": str(leg.direction.close_side), "orderType": "Market", "positionIdx": idx, "reduceOnly": True}
            venue.ask_by_hand("POST", "/v5/order/create", {**of_symbol, **row, "qty": f"{leg.size:f}"})
    return "error" not in venue.ask_by_hand("POST", "/v5/position/switch-mode", {**of_symbol, "mode": mode})


def _one_way(stage: Stage, fault: Fault) -> bool:
    return _switch_mode(stage, _picked(stage, fault), 0)


def _hedge(stage: Stage, fault: Fault) -> bool:
    if not fault.what.get("back", 1):
        return False
    return _switch_mode(stage, _picked(stage, fault), 3)


def _band(stage: Stage, fault: Fault) -> bool:
    """Mark and index price stay where they are set; the band narrows without a word."""
    market = stage.venue.exchange.markets[_picked(stage, fault)]
    tick = market.instrument.tick_size
    away = market.last * (1 + Decimal(str(fault.what["away"])))
    market.pinned_mark = market.pinned_index = away.quantize(tick)
    if fault.what["narrow"]:
        _set_band(stage, fault, Decimal("0.2"))
    market.revalue(stage.venue.now_ms())
    return True


def _set_band(stage: Stage, fault: Fault, times: Decimal) -> None:
    market = stage.venue.exchange.markets[_picked(stage, fault)]
    listing = market.listing
    x, y = listing.price_limit_x * times, listing.price_limit_y * times
    market.listing = replace(listing, price_limit_x=x, price_limit_y=y)
    market._band.change_rules(market.listing)


def _band_back(stage: Stage, fault: Fault) -> bool:
    market = stage.venue.exchange.markets[_picked(stage, fault)]
    market.pinned_mark = market.pinned_index = None
    if fault.what["narrow"]:
        _set_band(stage, fault, Decimal(5))
    market.revalue(stage.venue.now_ms())
    return True


def _stand_still(stage: Stage, fault: Fault) -> bool:
    stage.venue.stand_still()
    return True


def _catch_up(stage: Stage, fault: Fault) -> bool:
    stage.venue.odd.listed = None
    return True


def _strange_rows(stage: Stage, fault: Fault) -> bool:
    path, topic, row = strange_row(str(fault.what["symbol"]), str(fault.what["how"]), stage.venue.now_ms())
    stage.venue.odd.strange[path] = row
    stage.wires.say(topic, row)
    return True


def _known_rows(stage: Stage, fault: Fault) -> bool:
    if fault.what["stays"]:
        return False
    stage.venue.odd.strange.clear()
    return True


def _unlisted(stage: Stage, fault: Fault) -> bool:
    if fault.what["symbol"] not in stage.symbols:
        return False
    stage.venue.odd.unlisted.add(str(fault.what["symbol"]))
    return True


def _listed(stage: Stage, fault: Fault) -> bool:
    if fault.what["stays"]:
        return False
    stage.venue.odd.unlisted.clear()
    return True


def _hand_cover(stage: Stage, fault: Fault) -> bool:
    """The owner cancels what closes a leg and closes it with an order of their own, far from the price."""
    venue = stage.venue
    legs = [leg for (symbol, idx), leg in venue.account.legs.items() if symbol in stage.symbols and idx and leg.size]
    if not legs:
        return False
    leg = legs[int(float(fault.what["pick"]) * len(legs))]
    side, idx = leg.direction.close_side, leg.direction.position_idx
    for order in list(venue.account.open_by_symbol.get(leg.symbol, {}).values()):
        if order.side is side and order.request.position_idx == idx:
            row = {**LINEAR, "symbol": leg.symbol, "orderId": order.order_id}
            venue.ask_by_hand("POST", "/v5/order/cancel", row)
    market = venue.exchange.markets[leg.symbol]
    far = market.last * (Decimal("1.1") if str(side) == "Sell" else Decimal("0.9"))
    price = market.instrument.price(market.instrument.ticks(far))
    row = {**LINEAR, "symbol": leg.symbol, "side": str(side), "orderType": "Limit", "positionIdx": idx}
    row |= {"qty": f"{leg.size:f}", "price": f"{price:f}", "reduceOnly": True}
    return "error" not in venue.ask_by_hand("POST", "/v5/order/create", row)


def _liquidation(stage: Stage, fault: Fault) -> bool:
    return stage.venue.liquidate()


def _pause(stage: Stage, fault: Fault) -> bool:
    return stage.command("pause", {"cancel": bool(fault.what["cancel"])})


def _resume(stage: Stage, fault: Fault) -> bool:
    return stage.command("resume", {})


def _flatten(stage: Stage, fault: Fault) -> bool:
    return stage.command(str(fault.what["name"]), {})


def _reconcile(stage: Stage, fault: Fault) -> bool:
    return stage.command("reconcile", {})


def _funding(stage: Stage, fault: Fault) -> bool:
    for symbol in PRICES:
        stage.venue.market.settle_funding(symbol, str(fault.what["rate"]))
    return True


def _gap(stage: Stage, fault: Fault) -> bool:
    for symbol in stage.moving:
        stage.venue.move(symbol, stage.walk.jump(symbol, float(fault.what["move"])))
    return True


def _wick(stage: Stage, fault: Fault) -> bool:
    for symbol in stage.moving:
        stage.venue.move(symbol, stage.walk.price(symbol, float(fault.what["move"])))
        stage.venue.move(symbol, stage.walk.price(symbol))
    return True


HAPPENINGS: dict[FaultKind, Callable[[Stage, Fault], bool]] = {
    FaultKind.DROP: _drop,
    FaultKind.STREAMS_DOWN: _drop,
    FaultKind.SKEW: _worker_clock,
    FaultKind.EXCHANGE_SKEW: _exchange_clock,
    FaultKind.STALL: _stall,
    FaultKind.HAND_MODE: _one_way,
    FaultKind.BAND: _band,
    FaultKind.OLD_LISTING: _stand_still,
    FaultKind.STRANGE_ROWS: _strange_rows,
    FaultKind.UNLISTED: _unlisted,
    FaultKind.DEATH: _death,
    FaultKind.RESTART: _restart,
    FaultKind.LIQUIDATION: _liquidation,
    FaultKind.EXCHANGE_RESTART: _exchange_restart,
    FaultKind.CLOCK_STEP: _worker_clock,
    FaultKind.HAND_TRADE: _hand_trade,
    FaultKind.HAND_ORDER: _hand_order,
    FaultKind.HAND_CANCEL: _hand_cancel,
    FaultKind.HAND_AMEND: _hand_amend,
    FaultKind.TICK_CHANGE: _tick_change,
    FaultKind.PAUSE: _pause,
    FaultKind.RESUME: _resume,
    FaultKind.RECONCILE: _reconcile,
    FaultKind.FUNDING: _funding,
    FaultKind.GAP: _gap,
    FaultKind.WICK: _wick,
    FaultKind.HAND_COVER: _hand_cover,
    FaultKind.FLATTEN: _flatten,
    FaultKind.RELOAD: begin_reload,
    **strange_money.BEGIN,
    **contract_changes.BEGIN,
}
"""Each returns whether it did anything."""

ENDINGS: dict[FaultKind, Callable[[Stage, Fault], bool]] = {
    FaultKind.SKEW: partial(_worker_clock, times=-1),
    FaultKind.EXCHANGE_SKEW: partial(_exchange_clock, times=-1),
    FaultKind.HAND_MODE: _hedge,
    FaultKind.STALL: lambda stage, fault: True,
    FaultKind.BAND: _band_back,
    FaultKind.OLD_LISTING: _catch_up,
    FaultKind.STRANGE_ROWS: _known_rows,
    FaultKind.UNLISTED: _listed,
    **strange_money.END,
    **contract_changes.END,
}
"""What ends with a fault that lasts, if it did anything."""
