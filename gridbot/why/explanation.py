"""The answer to "why does this strategy not have all its orders", as plain values. Pure: a scene and a time in.

It is bounded: `MOST_ROWS` missing orders, those first that something holds; texts have `LONGEST_TEXT` characters.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from gridbot.doors.plain_text import one_line
from gridbot.strategies.base import Wish
from gridbot.why.asked_about import Reason, Scene, Weight
from gridbot.why.cap_rows import cap_rows, leg_rows
from gridbot.why.hold_rows import hold_rows
from gridbot.why.ladder_rows import ladder_rows
from gridbot.why.level_words import level_reason
from gridbot.why.rule_words import rule_texts

__all__ = ["MOST_ROWS", "explain"]

MOST_ROWS = 400
LONGEST_TEXT = 600
_ORDER = (Weight.HELD, Weight.PASSING, Weight.NORMAL)


def explain(scene: Scene, now_s: float, most: int = MOST_ROWS, *, with_ladder: bool = False) -> dict[str, Any]:
    """JSON-able; money and prices as text, ages and waits in seconds, times in ms UTC. `ladder`: see `ladder_rows`."""
    view = scene.view
    orders = scene.orders
    found = [
        (wish, level_reason(scene, wish, orders.get((wish.direction, wish.ticks), ()), now_s)) for wish in scene.wishes
    ]
    missing = [(wish, reason) for wish, reason in found if reason is not None]
    wanted = {(wish.direction, wish.ticks) for wish in scene.wishes}
    counts = Counter(reason.weight for _, reason in missing)
    rows = sorted(missing, key=lambda each: _ORDER.index(each[1].weight))
    waits = [reason.next_s for _, reason in missing if reason.next_s is not None]
    price_age_s = None if view.price_s is None else round(now_s - view.price_s, 1)
    return {
        "account": scene.account,
        "strategy": view.strat_id,
        "symbol": view.symbol,
        "mode": "shadow" if scene.is_shadow else "live",
        "last_price": None if view.last_price is None else f"{view.last_price:f}",
        "price_age_s": price_age_s,
        "wanted": len(scene.wishes),
        "placed": len(found) - len(missing),
        "off_grid": sum(len(there) for level, there in orders.items() if level not in wanted),
        **{weight: counts[weight] for weight in _ORDER},
        "next_s": round(min(waits), 1) if waits else None,
        "holds": [{**row, "text": one_line(row["text"], LONGEST_TEXT)} for row in hold_rows(scene, now_s)],
        "missing": [_row(scene, wish, reason) for wish, reason in rows[:most]],
        "left_out": max(0, len(rows) - most),
        "legs": leg_rows(scene),
        "caps": cap_rows(scene, now_s),
        "rules": rule_texts(scene.rules),
        "low_balance": scene.low_balance,
        **({"ladder": ladder_rows(scene)} if with_ladder else {}),
    }


def _row(scene: Scene, wish: Wish, reason: Reason) -> dict[str, Any]:
    return {
        "leg": str(wish.direction),
        "side": str(wish.side),
        "price": f"{scene.view.book.instrument.price(wish.ticks):f}",
        "closes": wish.closes,
        "weight": reason.weight,
        "text": one_line(reason.text, LONGEST_TEXT),
        "next_s": None if reason.next_s is None else round(max(0.0, reason.next_s), 1),
        "lifted_by": reason.lifted_by,
    }
