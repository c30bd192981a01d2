"""Blocks: the records of one large write in one frame, small, quickly made, and read without JSON per record.

The body of such a frame begins like any other, as a record of the kind `block` that has the number of its last record:
an earlier gridbot gives no number twice behind it, and says what it does not know. A line of JSON has what is the same
in all records of a kind; behind it come the lines of the records, each with what is left, and its number first
(`gridbot.records.block_reader` has the other direction). Lines end with `END`, since no body has a newline in it.

    {"kind":"block","account":..,"run_id":..,"seq":LAST,"local_ts":FIRST'S,
     "data":{"form":1,"first":..,"parts":[part, ..]}}
    part: [kind, count, names, forms, same, length]

`names` are those of the columns with blanks between, and begin with `seq local_ts`. `forms` has a letter for each,
`same` the values that all records of the part have, `length` is that of its lines in characters. Values in a line are
separated by `SEP`; `NULL` stands for null.

    =  the value in `same`     s  text, decimals included     i  whole number     b  true or false     j  JSON

So DuckDB's CSV reader takes the lines as they are. With `size` in `data` they are compressed by zlib, from so many
bytes, and escaped (`packed`). Pure.

A block holds each number from its first to its last. Records that have no such form, such as a text with line ends in
it, are written as frames of JSON.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson

from gridbot.core.quick_values import rows_reader
from gridbot.frames import MAX_BODY
from gridbot.records.codec import CodecError
from gridbot.records.columns import JOURNAL_TYPES, ColumnKind, columns_of

__all__ = [
    *("BLOCK", "BLOCK_FORM", "BLOCK_HEAD", "END", "LEAST_ROWS", "MOST_ROWS", "NULL", "SEP"),
    *("block_of", "has_marks", "packed", "prepare_layouts", "put_together", "unpacked"),
]

BLOCK: Final = "block"
BLOCK_HEAD: Final = b'{"kind":"block","account":'
BLOCK_FORM: Final = 1
"""What a reader has to understand. A block of a higher one is refused with a sentence."""
LEAST_ROWS: Final = 16
"""Records of one write from which a block is smaller and quicker than their frames of JSON."""
MOST_ROWS: Final = 4096
END: Final = "\r"
SEP: Final = "\x1f"
NULL: Final = "\x1e"


def block_of(account: str, run_id: str, first: int, times: Sequence[int], records: Sequence[Any]) -> bytes:
    """The body of a block: records numbered from `first` on, each with its time (`local_ts`, µs).

    Raise CodecError when something in them has no form here.
    """
    try:
        kinds = dict.fromkeys(map(type, records))
        if len(kinds) == 1:
            parts = [_part(next(iter(kinds)), range(first, first + len(records)), times, records)]
        else:
            parts = []
            for cls in kinds:
                picked = [at for at, record in enumerate(records) if type(record) is cls]
                parts.append(_part(cls, [first + at for at in picked], *_picked(picked, times, records)))
        return put_together(account, run_id, first, first + len(records) - 1, times[0], parts)
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError) as exc:
        raise CodecError(f"these records have no form in a block: {exc}") from exc


def put_together(
    account: str, run_id: str, first: int, last: int, local_ts: int, parts: Sequence[tuple[list[Any], str]]
) -> bytes:
    """The body of a block of these parts: each what the line says of it but for the length, and its lines.

    Raise CodecError when it is too long for a frame, UnicodeEncodeError.
    """
    listed = [[*head, len(lines)] for head, lines in parts]
    data = {"form": BLOCK_FORM, "first": first, "parts": listed}
    head = {"kind": BLOCK, "account": account, "run_id": run_id, "seq": last, "local_ts": local_ts, "data": data}
    body = b"%b\r%b" % (orjson.dumps(head), "".join([lines for _, lines in parts]).encode())
    if len(body) > MAX_BODY:
        raise CodecError(f"a block is {len(body)} bytes long, at most {MAX_BODY} fit a frame")
    return body


def packed(body: bytes, level: int) -> bytes:
    """The body of the same block with its lines compressed."""
    line, _, lines = body.partition(b"\r")
    head = orjson.loads(line)
    data = head["data"]
    head["data"] = {"form": data["form"], "first": data["first"], "size": len(lines), "parts": data["parts"]}
    pressed = zlib.compress(lines, level)
    return b"%b\r%b" % (orjson.dumps(head), pressed.replace(b"=", b"=e").replace(b"\n", b"=n"))


def unpacked(lines: bytes, size: int) -> bytes:
    """The lines that `packed` has compressed. Raise ValueError, zlib.error where they are not `size` bytes long."""
    unpacking = zlib.decompressobj()
    found = unpacking.decompress(lines.replace(b"=n", b"\n").replace(b"=e", b"="), size + 1)
    if len(found) != size or not unpacking.eof or unpacking.unused_data:
        raise ValueError("the lines of a block are not as long as it says")
    return found


def has_marks(text: str) -> bool:
    """Whether a text has a character that has a meaning in lines."""
    return SEP in text or END in text or NULL in text or "\n" in text or "\0" in text


def _picked(picked: list[int], times: Sequence[int], records: Sequence[Any]) -> tuple[list[int], list[Any]]:
    return [times[at] for at in picked], [records[at] for at in picked]


def _part(
    cls: type[Any], numbers: Sequence[int], times: Sequence[int], records: Sequence[Any]
) -> tuple[list[Any], str]:
    kind, names, values_of, columns = _layouts.get(cls) or _made_layout(cls)
    count = len(records)
    forms: list[str] = ["i", "i"]
    same: list[Any] = []
    kept: list[Sequence[str]] = [_digits(list(numbers)), _digits(times)]
    told: list[str] = []
    for (write, form), column in zip(columns, zip(*values_of(records), strict=True), strict=True):
        texts: Sequence[Any] = column
        if write is _decimals and column[0] is not None:  # equal ones such as 1.0 and 1.00 have other texts
            texts = write(column)
        first = texts[0]
        if first == texts[-1] and texts.count(first) == count:
            forms.append("=")
            same.append(first if first is None else _value(first, form, write))
            continue
        if texts is column and write is not None:
            texts = write(column)
        if write is None:
            try:
                told.append("".join(texts))
            except TypeError:
                told.append("".join([text for text in texts if text is not None]))
                texts = [NULL if text is None else text for text in texts]
        forms.append(form)
        kept.append(texts)
    if has_marks("".join(told)):
        raise CodecError("a text has control characters in it")
    return [kind, count, names, "".join(forms), same], END.join([*map(SEP.join, zip(*kept, strict=True)), ""])


def _value(value: Any, form: str, write: _Write | None) -> Any:
    """What stands for all: a text (also of decimals), or the number or truth of which `write` makes one."""
    if form == "s" or write is None:
        return value if isinstance(value, str) else _no_text(value)
    text = write((value,))[0]
    return int(text) if form == "i" else text == "true"


def _no_text(value: Any) -> str:
    raise TypeError(f"expected a text, got {type(value).__name__}")


def prepare_layouts() -> None:
    """Make now what each kind of record would have made when it is first written or read."""
    for cls in JOURNAL_TYPES.values():
        _made_layout(cls)


_Write = Callable[[Sequence[Any]], Sequence[str]]
_Layout = tuple[str, str, Callable[[Sequence[Any]], list[tuple[Any, ...]]], tuple[tuple[_Write | None, str], ...]]
"""Kind, names, what gives the values of records; how each column is written (None: it is text), and its form."""
_layouts: Final[dict[type[Any], _Layout]] = {}


def _made_layout(cls: type[Any]) -> _Layout:
    found = columns_of(cls)
    names = [column.name for column in found]
    columns = tuple((_WRITE.get(column.kind), _FORMS[column.kind]) for column in found)
    _layouts[cls] = cls.TABLE, " ".join(["seq", "local_ts", *names]), rows_reader(names), columns
    return _layouts[cls]


def _decimals(column: Sequence[Any]) -> Sequence[str]:
    try:
        return list(map(Decimal.__str__, column))
    except TypeError:
        return [NULL if value is None else Decimal.__str__(value) for value in column]


def _integers(column: Sequence[Any]) -> Sequence[str]:
    if None in column:
        texts = iter(_integers([value for value in column if value is not None]))
        return [NULL if value is None else next(texts) for value in column]
    array("q", column)  # OverflowError beyond 64 bits, TypeError
    return _digits(column)


def _digits(numbers: Sequence[int]) -> Sequence[str]:
    """Each number as text: half the time of `int.__repr__`."""
    texts = orjson.dumps(numbers).decode()
    if "e" in texts:
        raise TypeError("expected whole numbers, got a truth among them")
    return texts[1:-1].split(",")


def _truths(column: Sequence[Any]) -> Sequence[str]:
    return [NULL if value is None else _WORDS[value] for value in column]


_WORDS: Final = {True: "true", False: "false"}
_FORMS: Final = {
    ColumnKind.TEXT: "s",
    ColumnKind.JSON: "s",
    ColumnKind.DECIMAL: "s",
    ColumnKind.INTEGER: "i",
    ColumnKind.UTC_MS: "i",
    ColumnKind.UTC_US: "i",
    ColumnKind.BOOLEAN: "b",
}
_WRITE: Final[dict[ColumnKind, _Write]] = {
    ColumnKind.DECIMAL: _decimals,
    ColumnKind.INTEGER: _integers,
    ColumnKind.UTC_MS: _integers,
    ColumnKind.UTC_US: _integers,
    ColumnKind.BOOLEAN: _truths,
}
