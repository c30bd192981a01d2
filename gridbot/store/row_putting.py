"""Statements that store executions as `gridbot.store.row_contexts` says.

Each row is tried as it is stored: amounts against their DECIMAL, an id against the one that its parts make. What does
not come back as it was is stored as text. So a context that says what is wrong for a row costs room, and is never an
error. What contexts say is found by `gridbot.store.row_units`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gridbot.store.kept_ids import IDS, ODD, kept_types, key_of, odd_texts, parsed
from gridbot.store.row_contexts import CONTEXT_TABLE, CONTEXTS, FOUND, LATEST, PLAIN, ROWS, SHARED, UNITS, row_types
from gridbot.store.row_units import ASKED, first_rows, found
from gridbot.store.whole_numbers import AMOUNT, RATE, UNIT, amount, generation_in, layered, link_of, number_steps

__all__ = ["Putting", "putting"]

_TYPES: Final = kept_types(CONTEXT_TABLE)
_IDS: Final = IDS[CONTEXT_TABLE]
_NEEDED: Final = ("price", "qty", "leaves_qty", "closed_size", "fee", "realised_pnl", "order_link_id")
_OPTIONAL: Final = frozenset(("taxes", "exchange_pnl", "other_fees"))
"""Columns that most sources have no value of: a statement without them is planned in 22 ms in place of 25."""
_MISSING: Final = f"expected an execution with {', '.join(_NEEDED)}; got one without"
_FOUND_HERE: Final = tuple(name for name in FOUND if name != "instead_of")
_SCALES: Final = {f"{unit}_scale": f"round(1 / CAST({unit} AS DOUBLE)) AS {unit}_scale" for unit in UNITS.values()}
_RATE: Final = "CAST(fee_unit * 1000000000000 AS BIGINT) AS fee_rate"
_JOINED: Final = ("context", *_SCALES, "fee_rate", "link_head", "link_tail", "link_step")
"""What a row is told of its context: each costs it 10 ns, so units are made of their scales where one is wanted."""


@dataclass(frozen=True, slots=True)
class _Told:
    """How it is found out whether whole numbers tell all of an amount. `units`: of a column's name, the expression of
    its units, NULL where they do not; `by_rate`: the expression of whether a fee is the one that the rate makes."""

    units: Callable[[str], str]
    by_rate: str


@dataclass(frozen=True, slots=True)
class Putting:
    """Statements that store the rows of a source, each with the names of the values that it wants.

    `put` stores those with known contexts, `learn` makes the missing contexts, `put_rest` stores those of contexts
    above `$before`.
    """

    put: str
    learn: str
    put_rest: str


def putting(
    values: Mapping[str, str],
    source: str,
    same: frozenset[str] = frozenset(),
    into: str = "",
    *,
    texts: bool = True,
    nulls: frozenset[str] = frozenset(),
) -> Putting:
    """Statements that store rows of `source`. `values`: expressions of all columns that users read.

    `same`: columns whose expression is one value; `nulls`: those that are NULL in all rows. `into`: a database, with a
    dot behind it. `texts`: whether amounts are texts; else they are DECIMAL.
    """
    contexts = f"{into}{CONTEXTS}"
    differs = [name for name in SHARED if name not in same]
    names = [name for name in values if name not in same or name not in SHARED]
    read = ", ".join(f'{values[name]} AS "{name}"' for name in names)
    told = ("context", *_SCALES.values(), _RATE, "link_head", "link_tail", "link_step")
    known = ", ".join([*told, *(f"{name} AS known_{name}" for name in differs)])
    fixed = " AND ".join(_is(name, name, values[name]) for name in SHARED if name in same) or "true"
    joined = " AND ".join(_is(name, f"known_{name}", name) for name in differs) or "true"
    rows = f"""
        SELECT * FROM {parsed(_IDS, f"(SELECT {read} FROM {source})")}
        JOIN (SELECT {known} FROM {contexts} WHERE {fixed} AND {LATEST.format(contexts=contexts)}) ON {joined}"""
    put = f"INSERT INTO {into}{ROWS} ({', '.join(row_types())}) "
    asked = ", ".join(f"{values[name]} AS {name}" for name in (*SHARED, *ASKED, "seq"))
    learn = f"""
        INSERT INTO {contexts}
        SELECT (SELECT coalesce(max(context), 0) FROM {contexts}) + row_number() OVER (),
            {", ".join((*SHARED, *(name if name in _FOUND_HERE else "NULL" for name in FOUND)))}
        FROM ({found(first_rows(f"(SELECT {asked} FROM {source})"), SHARED)}) AS fresh
        ANTI JOIN {contexts} AS known ON {" AND ".join(_is(n, f"known.{n}", f"fresh.{n}") for n in SHARED)}"""
    names += [f"{name}_{end}" for name in _IDS for end in ("uuid", "told")]
    names += _JOINED
    tried = _TOLD_BY_TEXTS if texts else _TOLD_BY_DECIMALS
    kept = functools.partial(_kept_rows, names=names, told=tried, nulls=nulls & _OPTIONAL)
    return Putting(put + kept(rows), learn, put + kept(f"{rows} AND context > $before"))


def _is(name: str, one: str, other: str) -> str:
    return f"{one} {'=' if _TYPES[name].endswith('NOT NULL') else 'IS NOT DISTINCT FROM'} {other}"


def _kept_rows(rows: str, names: Iterable[str], told: _Told, nulls: frozenset[str]) -> str:
    """Query of the rows as they are stored, of rows with their contexts, which have columns of these names.

    Within CASE and AND DuckDB works out the same expression again: so what these ask for is in a layer before.
    """
    amounts = [name for name in (*UNITS, "exchange_pnl") if name not in nulls]
    read: dict[str, str] = {f"{name}_double": _unless_same(name, f"TRY_CAST({name} AS DOUBLE)") for name in amounts}
    read |= {
        f"{name}_units": _unless_same(name, f"TRY_CAST(TRY_CAST({name} AS DOUBLE) * {_scale_of(name)} AS BIGINT)")
        for name in amounts
    }
    (eight, of_eight), (generation, of_generation) = number_steps(generation_in("order_link_id"), "generation")
    kept = {f"{name}_kept": _unless_same(name, told.units(name)) for name in amounts}
    compared = {
        "has_numbers": f"({' | '.join(f'{name}_kept' for name in _NUMBERS)}) IS NOT NULL",
        "is_by_rate": f"coalesce({told.by_rate}, false)",
        "is_link": f"coalesce(link_head <> '' AND {_LINK_MADE} = order_link_id, false)",
    }
    if "exchange_pnl" not in nulls:
        compared["difference_kept"] = _DIFFERENCE
    layers = [read | {eight: of_eight}, kept | {generation: of_generation}, compared]
    stored = _stored(nulls)
    return layered(", ".join(stored[name] for name in row_types()), rows, names, layers)


_NUMBERS: Final = ("price", "qty", "leaves_qty", "closed_size", "realised_pnl")
_HAS_CLOSING: Final = "realised_pnl_kept IS NOT NULL AND closed_size_kept IS NOT NULL"
_LINK_MADE: Final = link_of("price_kept // link_step", "generation")
_DIFFERENCE: Final = f"""CASE WHEN NOT ({_HAS_CLOSING}) THEN NULL WHEN exchange_pnl = realised_pnl THEN 0
    WHEN exchange_pnl_kept BETWEEN {-(1 << 61)} AND {1 << 61} AND realised_pnl_kept BETWEEN {-(1 << 61)} AND {1 << 61}
    THEN exchange_pnl_kept - realised_pnl_kept END"""
"""The exchange's figure less ours, in units of money; kept where readers have ours to add it to, and the sum is a
BIGINT."""
_TOLD_DIGITS: Final = 15
"""Two amounts of so many digits are the same if they are as DOUBLE."""
_MOST_TOLD: Final = 10**_TOLD_DIGITS - 1


def _unless_same(name: str, value: str) -> str:
    """Expression of what the exchange's figure says where it is not ours, as it nearly always is."""
    return f"CASE WHEN exchange_pnl = realised_pnl THEN NULL ELSE {value} END" if name == "exchange_pnl" else value


def _units_of_text(name: str) -> str:
    """Expression of an amount's units if these say all of it.

    A text of so few characters is a number of so few digits, and of such two doubles are the same where the numbers
    are: to read a DECIMAL takes 0.045 µs, a DOUBLE 0.03. Any other is compared as DECIMAL.
    """
    is_short = f"strlen({name}) <= {_TOLD_DIGITS} AND {name}_units BETWEEN {-_MOST_TOLD} AND {_MOST_TOLD}"
    is_same = f"{name}_units / {_scale_of(name)} = {name}_double"
    return f"""CASE WHEN {is_short} THEN CASE WHEN {is_same} THEN {name}_units END ELSE {_units_of_decimal(name)} END"""


def _units_of_decimal(name: str) -> str:
    """The same of a DECIMAL, or of a text as if it were one."""
    unit = f"CAST(1 / {_scale_of(name)} AS {UNIT})"
    return f"CASE WHEN {amount(f'{name}_units', unit)} = CAST({name} AS {AMOUNT}) THEN {name}_units END"


def _text_is_by_rate() -> str:
    number = "price_kept * qty_kept * fee_rate"
    is_short = f"strlen(fee) <= {_TOLD_DIGITS} AND TRY({number}) BETWEEN {-_MOST_TOLD} AND {_MOST_TOLD}"
    return f"""CASE WHEN {is_short} THEN {number} / 1000000000000 = fee_double ELSE {_decimal_is_by_rate()} END"""


def _decimal_is_by_rate() -> str:
    rate = f"CAST(fee_rate / 1000000000000 AS {RATE})"
    return f"TRY(CAST(price_kept * qty_kept AS DECIMAL(25, 0)) * {rate}) = CAST(fee AS {AMOUNT})"


_TOLD_BY_TEXTS: Final = _Told(_units_of_text, _text_is_by_rate())
_TOLD_BY_DECIMALS: Final = _Told(_units_of_decimal, _decimal_is_by_rate())


def _scale_of(name: str) -> str:
    return f"{UNITS.get(name, 'money_unit')}_scale"


def _stored(nulls: frozenset[str]) -> dict[str, str]:
    """Expressions of the columns of `ROWS`, of what `_kept_rows` has worked out."""
    is_whole = " AND ".join(f"{name} IS NOT NULL" for name in _NEEDED)
    has_all = "has_numbers AND fee IS NOT NULL AND order_link_id IS NOT NULL"
    closing = f"""CASE WHEN NOT ({_HAS_CLOSING}) OR (realised_pnl_kept = 0 AND closed_size_kept = 0) THEN NULL
        WHEN closed_size_kept = qty_kept THEN [realised_pnl_kept] ELSE [realised_pnl_kept, closed_size_kept] END"""
    kept = {name: name for name in ("context", *PLAIN)} | {name: key_of(name) for name in _IDS}
    kept |= {name: f"{name}_kept" for name in ("price", "qty", "taxes") if name not in nulls}
    empty = {"taxes": "taxes", "exchange_pnl": "pnl_difference"}
    return kept | {
        "seq": f"CASE WHEN {has_all} OR ({is_whole}) THEN seq ELSE error('{_MISSING}') END",
        "local_us": "epoch_us(local_ts) - epoch_us(exchange_ts)",
        "leaves_qty": "nullif(leaves_qty_kept, 0)",
        "fee": "CASE WHEN NOT is_by_rate THEN fee_kept END",
        "closing": closing,
        "pnl_difference": "difference_kept",
        **{empty[name]: "CAST(NULL AS BIGINT)" for name in nulls if name in empty},
        "link_generation": "CASE WHEN is_link THEN generation END",
        "link_text": "CASE WHEN NOT is_link THEN nullif(order_link_id, '') END",
        ODD: _odd(nulls),
    }


def _odd(nulls: frozenset[str]) -> str:
    """Texts of what is seldom there."""
    lost = {name: f"{name}_kept IS NULL" for name in ("price", "qty", "leaves_qty")}
    lost |= {"taxes": "taxes_kept IS NULL AND taxes IS NOT NULL", "fee": "fee_kept IS NULL AND NOT is_by_rate"}
    lost |= dict.fromkeys(("realised_pnl", "closed_size"), f"NOT ({_HAS_CLOSING})")
    lost |= {"exchange_pnl": "difference_kept IS NULL AND exchange_pnl IS NOT NULL"}
    lost = {name: when for name, when in lost.items() if name not in nulls}
    pairs = odd_texts(_IDS)
    if "other_fees" not in nulls:
        pairs += ", 'other_fees', CAST(other_fees AS VARCHAR)"
    for name, when in lost.items():
        pairs += f", '{name}', CASE WHEN {when} THEN CAST(CAST({name} AS {AMOUNT}) AS VARCHAR) END"
    usual = [f"({name}_told OR {name} = '')" for name in _IDS]
    usual += ["has_numbers"] if "other_fees" in nulls else ["has_numbers", "other_fees IS NULL"]
    usual += [f"NOT ({lost[name]})" for name in ("taxes", "fee", "exchange_pnl") if name in lost]
    return (
        f"CASE WHEN {' AND '.join(usual)} THEN NULL "
        f"ELSE CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR) END"
    )
