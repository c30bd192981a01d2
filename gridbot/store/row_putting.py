"""Statements that store executions as `gridbot.store.row_contexts` says.

Each row is tried as it is stored: amounts against their DECIMAL, an id against the one that its parts make. What does
not come back as it was is stored as text. So a context that says what is wrong for a row costs room, and is never an
error. What contexts say is found by `gridbot.store.row_units`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gridbot.store.kept_ids import IDS, ODD, kept_types, key_of, odd_texts, parsed
from gridbot.store.row_contexts import CONTEXT_TABLE, CONTEXTS, FOUND, LATEST, PLAIN, ROWS, SHARED, UNITS, row_types
from gridbot.store.row_units import ASKED, first_rows, found
from gridbot.store.whole_numbers import AMOUNT, amount, generation_in, layered, link_of, number_steps, units_of

__all__ = ["Putting", "putting"]

_TYPES: Final = kept_types(CONTEXT_TABLE)
_IDS: Final = IDS[CONTEXT_TABLE]
_NEEDED: Final = ("price", "qty", "leaves_qty", "closed_size", "fee", "realised_pnl", "order_link_id")
_MISSING: Final = f"expected an execution with {', '.join(_NEEDED)}; got one without"
_FOUND_HERE: Final = tuple(name for name in FOUND if name != "instead_of")
_SCALES: Final = {f"{unit}_scale": f"round(1 / CAST({unit} AS DOUBLE)) AS {unit}_scale" for unit in UNITS.values()}


@dataclass(frozen=True, slots=True)
class Putting:
    """Statements that store the rows of a source, each with the names of the values that it wants.

    `put` stores those with known contexts, `learn` makes the missing contexts, `put_rest` stores those of contexts
    above `$before`.
    """

    put: str
    learn: str
    put_rest: str


def putting(values: Mapping[str, str], source: str, same: frozenset[str] = frozenset(), into: str = "") -> Putting:
    """Statements that store rows of `source`. `values`: expressions of all columns that users read; amounts may be
    texts, which is quicker.

    `same`: columns whose expression is one value. `into`: a database, with a dot behind it.
    """
    contexts = f"{into}{CONTEXTS}"
    differs = [name for name in SHARED if name not in same]
    names = [name for name in values if name not in same or name not in SHARED]
    read = ", ".join(f'{values[name]} AS "{name}"' for name in names)
    known = ", ".join(["context", *_SCALES.values(), *_FOUND_HERE, *(f"{name} AS known_{name}" for name in differs)])
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
    names += ["context", *_SCALES, *_FOUND_HERE]
    return Putting(put + _kept_rows(rows, names), learn, put + _kept_rows(f"{rows} AND context > $before", names))


def _is(name: str, one: str, other: str) -> str:
    return f"{one} {'=' if _TYPES[name].endswith('NOT NULL') else 'IS NOT DISTINCT FROM'} {other}"


def _kept_rows(rows: str, names: Iterable[str]) -> str:
    """Query of the rows as they are stored, of rows with their contexts, which have columns of these names."""
    by_rate = "TRY(CAST(price_kept * qty_kept AS DECIMAL(25, 0)) * fee_unit)"
    layers = [
        {f"{name}_amount": _read(name, f"CAST({name} AS {AMOUNT})") for name in (*UNITS, "exchange_pnl")}
        | {
            f"{name}_units": _read(name, units_of(name, f"{unit}_scale"))
            for name, unit in UNITS.items()
            if name != "fee"
        },
        {f"{name}_kept": _told(name) for name in UNITS if name not in ("fee", "closed_size")}
        | {"closed_size_kept": f"CASE WHEN closed_size = qty THEN {_told('qty')} ELSE {_told('closed_size')} END"}
        | {"difference_amount": "TRY(exchange_pnl_amount - realised_pnl_amount)"},
        {"is_by_rate": f"coalesce({by_rate} = fee_amount, false)"}
        | {"difference_units": _or_same(units_of("difference_amount", "money_unit_scale"))},
        {"fee_units": f"CASE WHEN NOT is_by_rate THEN {units_of('fee', 'money_unit_scale')} END"}
        | {"difference_kept": _difference_kept()},
        {"fee_kept": _told("fee"), "is_link": f"coalesce(link_head <> '' AND {_LINK_MADE} = order_link_id, false)"},
    ]
    for layer, (step, value) in zip(layers, number_steps(generation_in("order_link_id"), "generation"), strict=False):
        layer[step] = value
    stored = _stored()
    return layered(", ".join(stored[name] for name in row_types()), rows, names, layers)


_HAS_CLOSING: Final = "realised_pnl_kept IS NOT NULL AND closed_size_kept IS NOT NULL"
_LINK_MADE: Final = link_of("price_kept // link_step", "generation")


_SAME: Final = {"closed_size": "qty", "exchange_pnl": "realised_pnl"}
"""What is mostly the same as another one, and read with that."""
_MOSTLY_0: Final = ("leaves_qty", "closed_size", "realised_pnl", "taxes")


def _read(name: str, value: str) -> str:
    """Expression of what a text says: to read one takes 0.05 µs, so most are not."""
    cases = [f"WHEN {name} = '0' THEN 0"] if name in _MOSTLY_0 else []
    cases += [f"WHEN {name} = {_SAME[name]} THEN NULL"] if name in _SAME else []
    return f"CASE {' '.join(cases)} ELSE {value} END" if cases else value


def _or_same(value: str, same: str = "0") -> str:
    return f"CASE WHEN exchange_pnl = realised_pnl THEN {same} ELSE {value} END"


def _told(name: str) -> str:
    return f"CASE WHEN {amount(f'{name}_units', _unit_of(name))} = {name}_amount THEN {name}_units END"


def _difference_kept() -> str:
    """Where readers have what it is added to, and the sum is a BIGINT."""
    told = [_or_same(f"{amount('difference_units', 'money_unit')} = difference_amount", "true")]
    told += [_HAS_CLOSING]
    told += [f"{name} BETWEEN {-(1 << 62)} AND {1 << 62}" for name in ("realised_pnl_kept", "difference_units")]
    return f"CASE WHEN {' AND '.join(told)} THEN difference_units END"


def _unit_of(name: str) -> str:
    return UNITS.get(name, "money_unit")


def _stored() -> dict[str, str]:
    """Expressions of the columns of `ROWS`, of what `_kept_rows` has worked out."""
    is_whole = " AND ".join(f"{name} IS NOT NULL" for name in _NEEDED)
    closing = f"""CASE WHEN NOT ({_HAS_CLOSING}) OR (realised_pnl_kept = 0 AND closed_size_kept = 0) THEN NULL
        WHEN closed_size_kept = qty_kept THEN [realised_pnl_kept] ELSE [realised_pnl_kept, closed_size_kept] END"""
    kept = {name: name for name in ("context", *PLAIN)} | {name: key_of(name) for name in _IDS}
    kept |= {name: f"{name}_kept" for name in ("price", "qty", "fee", "taxes")}
    return kept | {
        "seq": f"CASE WHEN {is_whole} THEN seq ELSE error('{_MISSING}') END",
        "local_us": "epoch_us(local_ts) - epoch_us(exchange_ts)",
        "leaves_qty": "nullif(leaves_qty_kept, 0)",
        "closing": closing,
        "pnl_difference": "difference_kept",
        "link_generation": "CASE WHEN is_link THEN generation END",
        "link_text": "CASE WHEN NOT is_link THEN nullif(order_link_id, '') END",
        ODD: _odd(),
    }


def _odd() -> str:
    """Texts of what is seldom there."""
    no_number = ("price", "qty", "leaves_qty", "taxes")
    lost = {name: f"{name}_kept IS NULL AND {name}_amount IS NOT NULL" for name in no_number}
    lost |= {"fee": "fee_kept IS NULL AND NOT is_by_rate"}
    lost |= dict.fromkeys(("realised_pnl", "closed_size"), f"NOT ({_HAS_CLOSING})")
    lost |= {"exchange_pnl": "difference_kept IS NULL AND exchange_pnl IS NOT NULL"}
    pairs = odd_texts(_IDS) + ", 'other_fees', CAST(other_fees AS VARCHAR)"
    for name, when in lost.items():
        text = f"coalesce({name}_amount, {_SAME[name]}_amount)" if name in _SAME else f"{name}_amount"
        pairs += f", '{name}', CASE WHEN {when} THEN CAST({text} AS VARCHAR) END"
    told = " AND ".join([*(f"({name}_told OR {name} = '')" for name in _IDS), "other_fees IS NULL"])
    none = " OR ".join(f"({when})" for when in lost.values())
    return (
        f"CASE WHEN {told} AND NOT ({none}) THEN NULL "
        f"ELSE CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR) END"
    )
