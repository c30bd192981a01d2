"""What the tests of the grid engine share: the usual ladder, settled, and intents in a short form.

The usual ladder is 98.0 99.0 100.0 101.0 102.0 (tick 0.1, four levels around 100, one percent).
"""

from __future__ import annotations

from typing import Any

from tests.core.helpers import Book, engine, ticker


def ticks_of(engine: Any) -> list[int]:
    return [level.ticks for level in engine.grid.levels]


def short_form(intents) -> list[str]:
    """`long Buy 990 @1` for a placement, `long k1 duplicate` for a cancel."""
    lines = []
    for intent in intents:
        if hasattr(intent, "reason"):
            lines.append(f"{intent.direction} {intent.key} {intent.reason}")
        else:
            lines.append(f"{intent.direction} {intent.side} {intent.ticks} @{intent.level}")
    return lines


def settled(price: str = "100", **config: Any) -> tuple[Any, Book]:
    """An engine whose intents at `price` were all carried out."""
    made, book = engine(**config), Book()
    book.apply(made.on_event(ticker(price), book.orders))
    return made, book
