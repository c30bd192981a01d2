"""Finds what the contexts of executions say beside what their rows share: units, the rate of fees, parts of our ids.

They come from the first rows of a context. Where many of the newest rows had to be stored as texts, for want of finer
units or of a head of our ids, `FINER` makes contexts that have them instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridbot.store.kept_ids import ODD
from gridbot.store.row_contexts import CONTEXTS, FOUND, LATEST, ROWS, SHARED, UNITS, whole_rows
from gridbot.store.whole_numbers import RATE, UNIT, digits_of, layered, link_head, link_tail, number_steps, ticks_in

__all__ = ["ASKED", "FINER", "HAS_TEXTS", "POORLY_SAID", "first_rows", "found"]

ASKED: Final = (*UNITS, "order_link_id")
"""Columns of which that is found."""

_NEWEST: Final = 122_880
"""Rows that are looked at: two or three row groups."""
_TEXTS: Final = 8
"""Fewer texts among them are not worth a context."""
_TEXTS_READ: Final = 1000
_FIRST: Final = 64
_MOST: Final = 0.98
"""Part of the rows that units have to suit: one that nothing suits costs the others no room."""
_KINDS: Final = {"price": ("price",), "qty": ("closed_size", "leaves_qty", "qty"), "money": ("fee", "realised_pnl")}
"""Amounts of each unit that say how fine it has to be."""


def first_rows(rows: str) -> str:
    """Query, in parentheses, of the first of these rows of each context: to look at all of many takes 3 µs a row."""
    asked = ", ".join(f"{name} := {name}" for name in ASKED)
    shared = ", ".join(SHARED)
    some = f"SELECT {shared}, arg_min(struct_pack({asked}), seq, {_FIRST}) AS firsts FROM {rows} GROUP BY ALL"
    return f"(SELECT {shared}, unnest(firsts, recursive := true) FROM ({some}))"


def found(rows: str, keys: Sequence[str], *, has_least: bool = False) -> str:
    """Query of contexts with `keys`, as they suit these rows of them.

    `has_least`: among the keys is how many decimals each unit has at least, `price_least` and so on.
    """
    ours = f"CASE WHEN {link_head('order_link_id')} <> '' THEN order_link_id END"
    value = "nullif(CAST(price AS DOUBLE) * CAST(qty AS DOUBLE), 0)"
    asked = {
        "link": f"coalesce(max({ours}), '')",
        "link_price": f"arg_max(CAST(price AS DOUBLE), {ours})",
        "fee_rate": f"mode(round(CAST(fee AS DOUBLE) / {value}, 8))",
    }
    for kind, names in _KINDS.items():
        most = f"quantile_disc(greatest({', '.join(map(digits_of, names))}), {_MOST})"
        size = f"quantile_disc(abs(CAST({names[-1]} AS DOUBLE)), {_MOST})"  # a DOUBLE tells 15 digits of it
        asked[f"{kind}_digits"] = f"least({most}, 14 - ceil(log10(1 + {size})))"
    tick = "CASE WHEN ticks > 0 AND link_price > 0 THEN ceil(log10(ticks / link_price) - 0.01) ELSE 0 END"
    places = {f"{kind}_places": f"greatest({kind}_digits, {f'{kind}_least' if has_least else 0})" for kind in _KINDS}
    places["price_places"] = f"least(greatest({places['price_places']}, {tick}), 12)"
    units = {f"{kind}_unit": f"CAST(power(10, -{kind}_places) AS {UNIT})" for kind in _KINDS}
    units["fee_unit"] = f"TRY_CAST(round(fee_rate * power(10, -(price_places + qty_places)), 12) AS {RATE})"
    step = "TRY_CAST(link_price * power(10, price_places) / nullif(ticks, 0) AS BIGINT)"
    units["link_step"] = f"greatest(coalesce({step}, 1), 1)"
    heads = {"link_head": link_head("link"), "link_tail": link_tail("link")}
    numbers = ({name: value} for name, value in number_steps(ticks_in("link"), "ticks"))
    asking = ", ".join((*keys, *(f"{value} AS {name}" for name, value in asked.items())))
    listed = ", ".join((*keys, *(f"{kind}_places" for kind in _KINDS), *units, *heads))
    layers = (heads, *numbers, places, units)
    return layered(listed, f"SELECT {asking} FROM {rows} GROUP BY ALL", (*keys, *asked), layers)


_AMOUNTS_AS_TEXT: Final = ", ".join(f"{ODD} ->> '{name}'" for name in ("leaves_qty", "fee", "realised_pnl"))
_IS_ODD: Final = f"price IS NULL OR qty IS NULL OR ({ODD} IS NOT NULL AND coalesce({_AMOUNTS_AS_TEXT}) IS NOT NULL)"
_IS_TEXT: Final = f"({_IS_ODD} OR (link_text IS NOT NULL AND link_head = ''))"
_NEW_ONES: Final = f"""(
    SELECT kept.*, kept.rowid AS rowid, link_head
    FROM {ROWS} AS kept JOIN (FROM {CONTEXTS} WHERE {LATEST.format(contexts=CONTEXTS)}) AS known USING (context)
    WHERE kept.rowid > (SELECT coalesce(max(rowid), 0) - {_NEWEST} FROM {ROWS} WHERE rowid < $fresh))"""

HAS_TEXTS: Final = f"SELECT 1 FROM {ROWS} WHERE rowid >= $fresh AND ({_IS_ODD} OR link_text IS NOT NULL) LIMIT 1"
"""Whether one of the rows from `$fresh` on is, or may be, such a text: those that a transaction has put. Nearly always
none is, and to look at all of the newest takes 7 ms."""

POORLY_SAID: Final = f"""
    SELECT list(context) FROM (
        SELECT context FROM {_NEW_ONES}
        GROUP BY context HAVING count(*) FILTER ({_IS_TEXT}) > greatest({_TEXTS}, count(*) // 16))"""
"""Contexts of which more than a few of the newest rows are texts that need not be."""


def _finer() -> str:
    least = {f"{kind}_least": digits_of(f"known.{kind}_unit") for kind in _KINDS}
    before = {"instead_of": "known.context", "head_before": "known.link_head", **least}
    more = "".join(f", {value} AS {name}" for name, value in before.items())
    some = f"""(
        SELECT * EXCLUDE (link_head) FROM {_NEW_ONES} WHERE list_contains($contexts, context) AND {_IS_TEXT}
        ORDER BY rowid DESC LIMIT {_TEXTS_READ})"""
    is_finer = " OR ".join(f"{kind}_places > {kind}_least" for kind in _KINDS)
    return f"""
        INSERT INTO {CONTEXTS}
        SELECT (SELECT max(context) FROM {CONTEXTS}) + row_number() OVER (), {", ".join((*SHARED, *FOUND))}
        FROM ({found(f"({whole_rows(rows=some, more=more)})", (*SHARED, *before), has_least=True)})
        WHERE {is_finer} OR (link_head <> '' AND head_before = '')"""


FINER: Final = _finer()
"""Makes contexts instead of those in `$contexts`, where they say more."""
