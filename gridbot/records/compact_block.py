"""The frames of a finished segment as compressed blocks: the same byte for byte, in a tenth of the room. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from gridbot.frames import frame
from gridbot.records import codec
from gridbot.records.block_reader import bodies_of
from gridbot.records.codec import CodecError
from gridbot.records.record_block import END, MOST_ROWS, NULL, SEP, packed, put_together

__all__ = ["compacted"]

_LEVEL: Final = 6
_WORDS: Final = {True: "true", False: "false"}
_MARKS: Final = frozenset(("\n", "\0", END, SEP, NULL))


def compacted(bodies: Sequence[bytes]) -> bytes | None:
    """Frames with the same records as those with these bodies; None when that cannot be shown to be so.

    Whatever kind or field a record has is kept, also what this version does not know.
    """
    try:
        given = [each for body in bodies for each in bodies_of(body)]
        found = list(_frames(given))
        made = b"".join(frame(body) for body, _ in found)
        if [each for body, _ in found for each in bodies_of(body)] != given:
            return None
    except (CodecError, ValueError, TypeError, AttributeError, zlib.error):
        return None
    return made


def _frames(bodies: Sequence[bytes]) -> Iterator[tuple[bytes, int]]:
    """Bodies of frames, and how many records each has: a block of whatever goes without a gap, of one run."""
    docs: list[dict[str, Any]] = []
    for body in bodies:
        doc = codec.parse(body)
        is_next = docs and doc["seq"] == docs[-1]["seq"] + 1 and len(docs) < MOST_ROWS
        if docs and not (is_next and (doc["account"], doc["run_id"]) == (docs[0]["account"], docs[0]["run_id"])):
            yield _block(docs), len(docs)
            docs = []
        docs.append(doc)
    if docs:
        yield _block(docs), len(docs)


def _block(docs: Sequence[dict[str, Any]]) -> bytes:
    """Raise CodecError, TypeError, ValueError."""
    kinds: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
    for doc in docs:
        kinds.setdefault((doc["kind"], tuple(doc["data"])), []).append(doc)
    parts = [_part(kind, names, found) for (kind, names), found in kinds.items()]
    first, last = docs[0], docs[-1]
    plain = put_together(first["account"], first["run_id"], first["seq"], last["seq"], first["local_ts"], parts)
    return packed(plain, _LEVEL)


def _part(kind: str, names: Sequence[str], docs: Sequence[dict[str, Any]]) -> tuple[list[Any], str]:
    columns = zip(*[(doc["local_ts"], *doc["data"].values()) for doc in docs], strict=True)
    forms, same, kept = ["i"], list[Any](), [[str(doc["seq"]) for doc in docs]]
    for at, column in enumerate(columns):
        form, texts = _column(column)
        if at and column.count(column[0]) == len(docs) and len(set(map(type, column))) == 1:
            form = "="
            same.append(column[0])
        else:
            kept.append(texts)
        forms.append(form)
    lines = END.join([*map(SEP.join, zip(*kept, strict=True)), ""])
    return [kind, len(docs), " ".join(["seq", "local_ts", *names]), "".join(forms), same], lines


def _column(column: Sequence[Any]) -> tuple[str, list[str]]:
    sorts = set(map(type, column)) - {type(None)}
    if sorts <= {str} and all(value is None or _MARKS.isdisjoint(value) for value in column):
        return "s", [NULL if value is None else value for value in column]
    if sorts == {int}:
        return "i", [NULL if value is None else str(value) for value in column]
    if sorts == {bool}:
        return "b", [NULL if value is None else _WORDS[value] for value in column]
    return "j", [orjson.dumps(value).decode() for value in column]
