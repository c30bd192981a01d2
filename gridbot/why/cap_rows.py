"""How far each cap of a strategy and its account is away, and each leg from its liquidation. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from gridbot.core import Direction
from gridbot.why.asked_about import Scene
from gridbot.why.gate_words import leg_value

__all__ = ["cap_rows", "leg_rows"]

Row = dict[str, Any]
HUNDRED = Decimal(100)


def cap_rows(scene: Scene, now_s: float) -> list[Row]:
    """`used`, `limit` and what is `left`, as text in `unit`; `percent` of the limit that is used, None without one."""
    return list(_rows(scene, now_s))


def _rows(scene: Scene, now_s: float) -> Iterator[Row]:
    view, gate = scene.view, scene.gate
    wallet, caps = gate.funds.wallet_balance, view.caps
    if caps.max_notional is not None:
        yield _row("max_notional", view.notional(), caps.max_notional.resolve(wallet), "USDT")
    yield from map(_of_account, scene.account_caps)
    if caps.max_margin is not None and wallet > 0:
        for direction in Direction:
            yield _row(f"max_margin {direction}", leg_value(scene, direction) / wallet, caps.max_margin, "wallets")
    if caps.max_open_orders is not None:
        yield _row("max_open_orders", Decimal(len(view.book)), Decimal(caps.max_open_orders), "orders")
    rate = gate.rates.get(view.strat_id)
    if rate is not None and rate.per_minute is not None:
        yield _row("max_orders_per_minute", Decimal(rate.used(now_s)), Decimal(rate.per_minute), "orders")


def _of_account(cap: Mapping[str, Any]) -> Row:
    share, name = cap["share"], str(cap["cap"])
    percent = None if share is None else float(round(share * 100, 1))
    left = max(Decimal(0), Decimal(cap["limit"]) - Decimal(cap["used"]))
    unit = "" if "ratio" in name else "USDT"
    row = {"name": f"account {name}", "used": cap["used"], "limit": cap["limit"], "left": _text(left)}
    return {**row, "percent": percent, "unit": unit}


def _row(name: str, used: Decimal, limit: Decimal, unit: str) -> Row:
    percent = float(round(used / limit * HUNDRED, 1)) if limit > 0 else None
    return {
        "name": name,
        "used": _text(used),
        "limit": _text(limit),
        "left": _text(max(Decimal(0), limit - used)),
        "percent": percent,
        "unit": unit,
    }


def leg_rows(scene: Scene) -> list[Row]:
    """Both legs; `liq_distance_percent` is how far the mark price has to move until the exchange takes the
    leg, below 0 where it is beyond that price."""
    ticker = scene.view.ticker
    mark = None if ticker is None else ticker.mark_price or ticker.last_price
    return [_leg(scene, direction, mark) for direction in Direction]


def _leg(scene: Scene, direction: Direction, mark: Decimal | None) -> Row:
    leg, liq = scene.view.legs[direction], scene.liquidation.get(direction)
    away = None
    if mark and liq:
        away = (mark - liq if direction is Direction.LONG else liq - mark) / mark * HUNDRED
    buy, sell = scene.multipliers.get(direction, (Decimal(1), Decimal(1)))
    return {
        "leg": str(direction),
        "size": _text(leg.size),
        "entry": None if leg.entry_price is None else _text(leg.entry_price),
        "leverage": None if leg.leverage is None else _text(leg.leverage),
        "liq": _text(liq) if liq else None,
        "liq_distance_percent": None if away is None else float(round(away, 2)),
        "multiplier_buy": _text(buy),
        "multiplier_sell": _text(sell),
    }


def _text(value: Decimal) -> str:
    return f"{round(value, 8).normalize():f}"
