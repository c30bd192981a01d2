"""What `adopt` has found, for people: a table of orders for each strategy. The worker answers with JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from gridbot.doors.bounded_json import read_json
from gridbot.doors.plain_text import for_people
from supervisor.cli.answer_output import rendered
from supervisor.status.screen_width import UNBOUNDED, screen_width

__all__ = ["document_of", "table_of"]

COLUMNS: Final = ("fit", "side", "leg", "price", "qty", "closes", "level", "why", "link id")
MOST_ABSENT: Final = 10
"""Prices of wanted orders that are named; of more only how many there are."""


def document_of(answer: str) -> Mapping[str, Any]:
    """The worker's answer; what it says after the JSON, such as that the disk did not take it, is added to `said`."""
    text, brace, tail = answer.rpartition("}")
    found = read_json(text + brace) if brace else {"said": answer}
    document = for_people(found if isinstance(found, dict) else {"said": answer})
    return {"strategies": [], **document, "said": f"{document.get('said', '')}{tail if brace else ''}"}


def table_of(target: str, answer: str) -> str:
    """The lines for people."""
    document = document_of(answer)
    lines = [f"{target}: {document['said']}"]
    for strategy in document["strategies"]:
        lines += ["", *_of_strategy(strategy, applied=bool(document.get("applied")))]
    return "\n".join(lines)


def _of_strategy(strategy: Mapping[str, Any], *, applied: bool) -> Iterator[str]:
    laid = "; its ladder lies on these orders now" if strategy["ladder_laid"] else ""
    held = "" if strategy["held"] else "; it is not paused: pause it before anything is taken over"
    yield f"{strategy['strategy']} on {strategy['symbol']}{laid}{held}"
    if strategy["refused"]:
        yield f"  nothing can be adopted: {strategy['refused']}"
        return
    orders = strategy["orders"]
    if orders:
        cells = [_cells(order) for order in orders]
        yield "".join(rendered(COLUMNS, [cells], "table", screen_width(UNBOUNDED))).rstrip("\n")
    else:
        yield "  no order of another program rests there"
    if any(order["fit"] == "near" for order in orders):
        yield (
            "  near misses stay as they are: after the strategy goes on, it places its own beside them. Cancel them by "
            "hand, or set grid and amount right first"
        )
    yield f"  {_absent(strategy['absent'], applied=applied)}"


def _cells(order: Mapping[str, Any]) -> Sequence[Any]:
    names = ("fit", "side", "direction", "price", "qty")
    closes = "yes" if order["reduce_only"] else "no"
    return [*(order[name] for name in names), closes, order["level"], order["why"], order["order_link_id"] or "none"]


def _absent(wanted: Sequence[Mapping[str, Any]], *, applied: bool) -> str:
    if not wanted:
        return "everything that it wants rests"
    few = ", ".join(f"{each['side']} {each['qty']} @ {each['price']} ({each['what']})" for each in wanted[:MOST_ABSENT])
    more = f" and {len(wanted) - MOST_ABSENT} more" if len(wanted) > MOST_ABSENT else ""
    then = "placed when it goes on" if applied else "would be placed when it goes on"
    return f"{len(wanted)} wanted and absent, {then} as far as caps and balance allow: {few}{more}"
