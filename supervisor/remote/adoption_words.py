"""What `adopt` has found, in words: for each strategy a line, a table of orders, and what else there is to say.

The worker answers with JSON. The command line and the page show it by this, each in its own way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridbot.doors.bounded_json import JsonMistake, read_json
from gridbot.doors.plain_text import for_people

__all__ = ["COLUMNS", "AdoptedPart", "document_of", "parts_of"]

COLUMNS: Final = ("fit", "side", "leg", "price", "qty", "closes", "level", "why", "link id")
MOST_ABSENT: Final = 10
"""Prices of wanted orders that are named; of more only how many there are."""


@dataclass(frozen=True, slots=True)
class AdoptedPart:
    """Of one strategy: what stands above its orders, a row for each as `COLUMNS` names them, what stands below."""

    head: str
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...]


def document_of(answer: str) -> Mapping[str, Any]:
    """The worker's answer; what it says after the JSON, such as that the disk did not take it, is added to `said`."""
    text, brace, tail = answer.rpartition("}")
    found: Any = None
    if brace:
        try:
            found = read_json(text + brace)
        except JsonMistake:  # words in which a brace stands
            tail = ""
    document = for_people(found if isinstance(found, dict) else {"said": answer})
    return {"strategies": [], **document, "said": f"{document.get('said', '')}{tail if brace else ''}"}


def parts_of(document: Mapping[str, Any]) -> list[AdoptedPart]:
    """What it says of each strategy."""
    return [_part(strategy, applied=bool(document.get("applied"))) for strategy in document["strategies"]]


def _part(strategy: Mapping[str, Any], *, applied: bool) -> AdoptedPart:
    laid = "; its ladder lies on these orders now" if strategy["ladder_laid"] else ""
    held = "" if strategy["held"] else "; it is not paused: pause it before anything is taken over"
    head = f"{strategy['strategy']} on {strategy['symbol']}{laid}{held}"
    if strategy["refused"]:
        return AdoptedPart(head, (), (f"nothing can be adopted: {strategy['refused']}",))
    rows = tuple(_cells(order) for order in strategy["orders"])
    return AdoptedPart(head, rows, tuple(_below(strategy, applied=applied)))


def _below(strategy: Mapping[str, Any], *, applied: bool) -> Iterator[str]:
    if not strategy["orders"]:
        yield "no order of another program rests there"
    if any(order["fit"] == "near" for order in strategy["orders"]):
        yield (
            "near misses stay as they are: after the strategy goes on, it places its own beside them. Cancel them by "
            "hand, or set grid and amount right first"
        )
    yield _absent(strategy["absent"], applied=applied)


def _cells(order: Mapping[str, Any]) -> tuple[str, ...]:
    names = ("fit", "side", "direction", "price", "qty")
    closes = "yes" if order["reduce_only"] else "no"
    link_id = order["order_link_id"] or "none"
    return tuple(map(str, (*(order[name] for name in names), closes, order["level"], order["why"], link_id)))


def _absent(wanted: Sequence[Mapping[str, Any]], *, applied: bool) -> str:
    if not wanted:
        return "everything that it wants rests"
    few = ", ".join(f"{each['side']} {each['qty']} @ {each['price']} ({each['what']})" for each in wanted[:MOST_ABSENT])
    more = f" and {len(wanted) - MOST_ABSENT} more" if len(wanted) > MOST_ABSENT else ""
    then = "placed when it goes on" if applied else "would be placed when it goes on"
    return f"{len(wanted)} wanted and absent, {then} as far as caps and balance allow: {few}{more}"
