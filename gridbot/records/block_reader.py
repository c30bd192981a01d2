"""Reads blocks (`gridbot.records.record_block`): as lines for the store, as bodies of JSON for everybody else.

What a block says of itself is checked before anything is made of it: how many rows, how long the lines, how large it is
when it was compressed. Bad bytes are a CodecError and nothing else. Pure.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import orjson

from gridbot.doors.plain_text import shown
from gridbot.records import codec
from gridbot.records.codec import CodecError
from gridbot.records.record_block import BLOCK_FORM, BLOCK_HEAD, END, MOST_ROWS, NULL, SEP, unpacked

__all__ = ["Block", "Layout", "NewerJournal", "Part", "bodies_of", "is_block", "read_block"]

_MOST_TEXT: Final = 64 * 1024 * 1024
"""Bytes of a block's lines. A frame of 16 MB may say that it is a gigabyte of zeros."""
_DIGITS: Final = 20


class NewerJournal(CodecError):
    """A newer gridbot has written this block, and this one cannot read it. The text says what to do."""


def is_block(body: bytes) -> bool:
    """Whether the body of a frame is a block."""
    return body.startswith(BLOCK_HEAD)


@dataclass(frozen=True, slots=True)
class Layout:
    """Of a part: kind, names of all columns but the number's, their forms; `kept`: the names that its lines have."""

    kind: str
    names: tuple[str, ...]
    forms: str
    kept: tuple[str, ...]
    is_same: tuple[str, ...]
    """The names whose one value stands before the lines."""


@dataclass(slots=True)
class Part:
    """The records of a kind in a block: `same` values, and a line of text for each record.

    Whoever takes the lines apart finds out whether they are as many as `count`, each with as many values as `layout`
    says: to look for their ends takes as long as all else.
    """

    account: str
    run_id: str
    layout: Layout
    count: int
    same: list[Any]
    lines: str

    @property
    def kind(self) -> str:
        return self.layout.kind

    def numbered(self) -> list[tuple[int, bytes]]:
        """Number and body of each record, as its own frame would have it.

        Raise CodecError when a line is not what it has to be.
        """
        layout = self.layout
        head = codec.head_of(layout.kind, self.account, self.run_id)
        try:
            rows = [line.split(SEP) for line in self.lines.split(END)]
            if rows.pop() != [""] or len(rows) != self.count:
                raise CodecError("its lines are not as many as it says")
            seqs, *others = zip(*rows, strict=True)
            if len(others) != len(layout.kept):
                raise CodecError(f"its lines have not {len(layout.kept) + 1} values")
            kept, same = iter(others), iter(self.same)
            columns = [[next(same)] * self.count if form == "=" else _read(next(kept), form) for form in layout.forms]
            names = layout.names[1:]
            return [
                (number, codec.body_of_data(head, number, at, orjson.dumps(dict(zip(names, values, strict=True)))))
                for number, at, *values in zip(map(_whole, seqs), *columns, strict=True)
            ]
        except (TypeError, ValueError, StopIteration) as exc:
            raise CodecError(f"a block of {shown(layout.kind)} cannot be taken apart: {exc}") from exc


@dataclass(slots=True)
class Block:
    """Records `first` to `last` of an account, without a gap. `local_ts`: of the first, µs."""

    first: int
    last: int
    local_ts: int
    parts: list[Part]

    def bodies(self, kinds: Collection[str] | None = None) -> list[bytes]:
        """Bodies of the records in the order of their numbers; `kinds`: only of these (None: of all)."""
        found = [pair for part in self.parts if kinds is None or part.kind in kinds for pair in part.numbered()]
        return [body for _, body in (found if len(self.parts) == 1 else sorted(found))]


def bodies_of(body: bytes, kinds: Collection[str] | None = None) -> list[bytes]:
    """The bodies of the records of a frame: its own, or those of its block. Raise CodecError for a damaged block."""
    return read_block(body).bodies(kinds) if is_block(body) else [body]


def read_block(body: bytes) -> Block:
    """A block from the body of its frame. Raise CodecError when it is none, NewerJournal when it is of a newer form."""
    line, _, rest = body.partition(b"\r")
    try:
        doc = orjson.loads(line)
        account, run_id, last, local_ts, data = itemgetter("account", "run_id", "seq", "local_ts", "data")(doc)
        form, first = data.get("form"), data.get("first")
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        raise CodecError(f"the body of a frame is no block: {exc}") from exc
    if not (type(account) is type(run_id) is str and type(last) is type(local_ts) is int):
        raise CodecError("the body of a frame is no block")
    if type(form) is int and form > BLOCK_FORM:
        raise NewerJournal(
            f"record {last} of account {shown(account)} is in a block of form {form}, which a newer gridbot has "
            f"written; expected at most form {BLOCK_FORM}. Start the newer version again: nothing was changed"
        )
    if form != BLOCK_FORM or type(first) is not int or not 0 <= last - first < MOST_ROWS:
        raise CodecError(f"a block says form {shown(form)} and records {shown(first)} to {shown(last)}")
    try:
        text = _text_of(data, rest) if "size" in data else rest.decode()
        parts, count = _parts(account, run_id, data["parts"], text)
        if count != last - first + 1:
            raise CodecError("a block has not as many records as it says")
    except (TypeError, ValueError, LookupError, zlib.error) as exc:
        raise exc if isinstance(exc, CodecError) else CodecError(f"a block cannot be read: {exc}") from exc
    return Block(first, last, local_ts, parts)


def _text_of(data: dict[str, Any], rest: bytes) -> str:
    size = data["size"]
    if type(size) is not int or not 0 <= size <= _MOST_TEXT:
        raise CodecError(f"the lines of a block are to be {shown(size)} bytes long")
    return unpacked(rest, size).decode()


def _parts(account: str, run_id: str, listed: Sequence[Any], text: str) -> tuple[list[Part], int]:
    """The parts, and how many records they have."""
    at, found, total = 0, list[Part](), 0
    for kind, count, names, forms, same, length in listed:
        layout = _layout(kind, names, forms)
        lines = text[at : at + length]
        at += length
        ok = type(count) is int and 0 < count <= MOST_ROWS and length > 0 and type(same) is list
        if not ok or len(same) != len(layout.is_same) or lines[-1:] != END:
            raise CodecError(f"a part of a block, of {shown(kind)}, is not what it has to be")
        found.append(Part(account, run_id, layout, count, same, lines))
        total += count
    if at != len(text):
        raise CodecError("a block has more text than its lines")
    return found, total


@functools.lru_cache(maxsize=512)
def _layout(kind: str, listed: str, forms: str) -> Layout:
    """The same few again and again. Raise CodecError."""
    names = tuple(listed.split(" "))
    ok = len(names) == len(forms) == len(set(names)) and names[:2] == ("seq", "local_ts")
    if not ok or forms[0] != "i" or not _KNOWN.issuperset(forms):
        raise CodecError(f"a part of a block, of {shown(kind)}, is not what it has to be")
    pairs = list(zip(names[1:], forms[1:], strict=True))
    kept = tuple(name for name, form in pairs if form != "=")
    return Layout(kind, names[1:], forms[1:], kept, tuple(name for name, form in pairs if form == "="))


def _whole(text: str) -> int:
    if len(text) > _DIGITS:
        raise CodecError(f"expected a whole number in a block, got {shown(text)}")
    return int(text)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise CodecError(f"expected true or false in a block, got {shown(text)}")
    return text == "true"


_KNOWN: Final = frozenset("=sibj")
_READ: Final[dict[str, Callable[[str], Any]]] = {"i": _whole, "b": _truth, "j": orjson.loads}


def _read(texts: Sequence[str], form: str) -> Sequence[Any]:
    read = _READ.get(form)
    if read is not None:
        return [None if text == NULL else read(text) for text in texts]
    return [None if text == NULL else text for text in texts] if NULL in texts else texts
