"""How large the collections of a worker are: a walk over everything that it reaches inside the product.

At rest each of them is small, but for those that remember on purpose: they are named here with the limit that the
product has for them. So a new collection that only grows is found by itself.
"""

from __future__ import annotations

import functools
import weakref
from collections import deque
from collections.abc import Iterator, Mapping, Set
from decimal import Decimal
from typing import Any

from gridbot.core import account_legs, counted_ids
from gridbot.orders import life_news, order_index
from gridbot.worker import passage_watch, position_sizer

__all__ = ["sizes", "too_large"]

AT_REST = 300
"""What nobody has named may have so many entries: orders, levels, and tables that never change."""

COLLECTIONS = (Mapping, Set, list, tuple, deque, weakref.WeakSet)
TEXTS = (str, bytes, bytearray)
NOTHING = frozenset((*TEXTS, int, float, bool, Decimal, type(None)))
"""Types of what has nothing in it: by far the most of what is reached."""
OURS, OUTSIDE = "gridbot.", ("gridbot.simulation.", "gridbot.paper.", "gridbot.config.")


def too_large(found: Mapping[str, int]) -> list[str]:
    """Collections that have more entries than they may have at rest."""
    limits = _limits()
    return [
        f"{name} has {count} entries, expected at most {limits.get(name, AT_REST)}"
        for name, count in sorted(found.items())
        if count > limits.get(name, AT_REST)
    ]


def _limits() -> dict[str, int]:
    """The limits of the product, as they are now."""
    executions, finished = counted_ids.IDS_KEPT + AT_REST, order_index.FINISHED_KEPT
    return {
        "CountedIds._times": executions,
        "AccountLegs._steps": 4 * account_legs.STEPS_MOST,
        "LegHistory.steps": account_legs.STEPS_MOST,
        "OrderIndex.finished": finished,
        "OrderIndex._key_of_order_id": finished + AT_REST,
        "OrderBook.strangers": life_news.STRANGERS_KEPT,
        "PositionSizer._known": position_sizer.REMEMBERED,
        "PassageWatch.spoken": passage_watch.SPOKEN_KEPT,
    }


def sizes(root: object) -> dict[str, int]:
    """Entries of each collection, by "Class.attribute"; of several with one name the largest.

    What a collection in a collection has is named `Class.attribute[]`. Objects of libraries are not looked into.
    """
    found: dict[str, int] = {}
    seen: set[int] = set()
    todo: list[tuple[str, Any]] = [("", root)]
    while todo:
        name, thing = todo.pop()
        kind: Any = type(thing)
        if kind in NOTHING or id(thing) in seen or issubclass(kind, TEXTS):
            continue
        seen.add(id(thing))
        if issubclass(kind, COLLECTIONS):
            if name:
                found[name] = max(found.get(name, 0), len(thing))
            inside = f"{name.removesuffix('[]')}[]"
            todo += [(inside, each) for each in _entries(thing) if type(each) not in NOTHING]
        elif (slots := _slots_of_ours(kind)) is not None:
            todo += [(f"{kind.__name__}.{attribute}", value) for attribute, value in _attributes(thing, slots)]
        elif (bound := getattr(thing, "__self__", None)) is not None:
            todo.append((name, bound))
        else:
            cells = getattr(thing, "__closure__", None) or ()
            todo += [(f"{getattr(thing, '__qualname__', name)}()", cell.cell_contents) for cell in cells]
    return found


def _entries(collection: Any) -> Iterator[object]:
    yield from list(collection)
    if isinstance(collection, Mapping):
        yield from list(collection.values())


@functools.cache
def _slots_of_ours(kind: type) -> tuple[str, ...] | None:
    """The slots of a class of the product; None for one of a library."""
    module = getattr(kind, "__module__", "")
    if not module.startswith(OURS) or module.startswith(OUTSIDE):
        return None
    return tuple(name for base in kind.__mro__ for name in getattr(base, "__slots__", ()))


def _attributes(thing: object, slots: tuple[str, ...]) -> Iterator[tuple[str, object]]:
    yield from getattr(thing, "__dict__", {}).items()
    for name in slots:
        if hasattr(thing, name):
            yield name, getattr(thing, name)
