"""Amounts and our own order ids as whole numbers, as executions are stored: a fraction of the bits.

**Amounts.** Twelve decimals of which most are zeros are bits that no compression knows of. So an amount is stored as
how many units it is, such as 0.1 of a tick, and what a unit is stands in the context of the row. Whether that tells
all of it is tried of each amount as it is stored, against its DECIMAL, and never taken for granted.

**Our own ids** (`gridbot.orders.ids`) are a head that rows of a context share (tags and leg), ticks, a generation, and
a tail that they share (the epoch). The ticks of most fills follow from the price, so only the generation is stored.
The id is made again of these and compared as it is stored. Any other id is stored as it is.

Expressions of SQL alone. Those that readers use (`amount`, `link_of`) have only functions of DuckDB 1.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

__all__ = [
    "AMOUNT",
    "RATE",
    "UNIT",
    "amount",
    "digits_of",
    "generation_in",
    "layered",
    "link_head",
    "link_of",
    "link_tail",
    "number_steps",
    "ticks_in",
]

AMOUNT: Final = "DECIMAL(38, 12)"
UNIT: Final = "DECIMAL(19, 12)"
"""What one of a column's whole numbers is worth, a power of ten, at most 1. A BIGINT times it is of type `AMOUNT`."""
RATE: Final = "DECIMAL(13, 12)"
"""The fee of one unit of price times one of quantity. A DECIMAL(25, 0) times it is of type `AMOUNT`."""

_HEAD: Final = 14
"""Characters of both tags, a dash and the leg."""
_DIGITS: Final = 8
"""Digits of a generation until 2059, and the most that ticks may have here."""
_LAYOUT: Final = rf"^([0-9a-z]{{12}}-[a-d])[0-9a-z]{{1,{_DIGITS}}}-[0-9a-z]{{{_DIGITS}}}(-[0-9a-z]{{1,4}})$"


def amount(number: str, unit: str) -> str:
    """Expression of the amount that so many units are."""
    return f"{number} * {unit}"


def digits_of(value: str) -> str:
    """Expression of how many decimals an amount has, without zeros behind them."""
    text = f"CAST(CAST({value} AS {AMOUNT}) AS VARCHAR)"
    return f"strlen(rtrim({text}, '0')) - strlen({text}) + 12"


def layered(listed: str, query: str, columns: Iterable[str], layers: Sequence[Mapping[str, str]]) -> str:
    """Query of `listed`, of the columns of `query` and those that the layers add, each made of columns before it.

    By name none is worked out twice, as expressions within each other would be. A layer has no column that nothing is
    made of any more: each costs planning.
    """
    later = [set(_WORD.findall(listed))]
    for layer in reversed(layers[1:]):
        later.append(later[-1].union(*map(_WORD.findall, layer.values())))
    known = list(columns)
    for layer in layers:
        wanted = later.pop()
        before = [name for name in known if name in wanted]
        query = (
            f"SELECT {', '.join((*before, *(f'{value} AS {name}' for name, value in layer.items())))} FROM ({query})"
        )
        known = [*before, *layer]
    return f"SELECT {listed} FROM ({query})"


_WORD: Final = re.compile(r"[a-z_0-9]+")


def link_head(link: str) -> str:
    """Expression of what our ids of a leg begin with, of an id; empty where it is none of ours."""
    return f"regexp_extract({link}, '{_LAYOUT}', 1)"


def link_tail(link: str) -> str:
    """Expression of what our ids end with while the same holder makes them; empty where an id is none of ours."""
    return f"regexp_extract({link}, '{_LAYOUT}', 2)"


def link_of(ticks: str, generation: str) -> str:
    """Expression of an id, of its numbers and a context's `link_head` and `link_tail`. Numbers below 0 make none."""
    one, other = (f"lower(to_base(greatest({number}, 0), 36))" for number in (ticks, generation))
    return f"concat(link_head, {one}, '-', {other}, link_tail)"


def generation_in(link: str) -> str:
    """Expression of the digits of the generation in an id that ends with `link_tail`."""
    return f"substr({link}, strlen({link}) - strlen(link_tail) - {_DIGITS - 1}, {_DIGITS})"


def ticks_in(link: str) -> str:
    """Expression of the ticks in an id with `link_head` and `link_tail`, with zeros before them."""
    length = f"strlen({link}) - strlen(link_tail) - {_HEAD + 1 + _DIGITS}"
    return f"lpad(substr({link}, {_HEAD + 1}, greatest({length}, 0)), {_DIGITS}, '0')"


def number_steps(text: str, name: str) -> tuple[tuple[str, str], ...]:
    """Names and expressions, each of the one before, that end with `name`: the number of eight digits of base 36.

    DuckDB has no function for it, so it is done with all eight at once, in few steps, as each of them costs planning.
    Null, or any number, of any other text.
    """

    def pairs(of: str, bits: int, base: int) -> str:
        """Of fields of so many bits every two next to each other as one number, the higher one being first."""
        mask = sum(((1 << bits) - 1) << at for at in range(0, 64, 2 * bits))
        return f"({of} - (({of} >> {bits}) & {mask}) * {(1 << bits) - base})"

    # A byte's digit is its lower five bits, less 16 for `0` (0x30), and for `a` (0x61), which has the seventh bit, plus
    # 25. The 16 of all of them are taken off at the end.
    read = f"TRY_CAST(TRY_CAST(encode({text}) AS BIT) AS BIGINT)"
    eight, sixteens = f"{name}_eight", 16 * (36**8 - 1) // 35
    return (
        (eight, f"({read} & {31 * _ONES}) + (({read} >> 6) & {_ONES}) * 25"),
        (name, f"{pairs(pairs(pairs(eight, 8, 36), 16, 36**2), 32, 36**4)} - {sixteens}"),
    )


_ONES: Final = 0x0101010101010101
