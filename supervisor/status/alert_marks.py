"""What operators have said about open alerts: who looks after one, and what is not to be shown for a while. Pure.

::

    open ──ack──► acknowledged ──it gets worse, it is over, unmute──► open
    shown ──mute, for a while──► muted ──its time is over, unmute──► shown

Neither changes what is recorded, told to the log, or counted against health. An alert has an id that it keeps when it
begins anew, as after a restart of its worker: so an acknowledgement outlives that. Times are microseconds UTC.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gridbot.commands.wording import CommandMistake, did_you_mean, shown
from supervisor.utc_time import utc_text

__all__ = ["Ack", "Marks", "Mute", "acknowledge", "alert_id", "marked", "mute", "of_host", "pruned", "unmute"]

Row = Mapping[str, Any]
LEVELS: Final = ("INFO", "WARNING", "ERROR", "CRITICAL")
GONE_US: Final = 60_000_000
"""An acknowledged alert that was not open for so long is over: until then its worker may have been starting."""
MOST: Final = 1000
FLEET_WIDE: Final = frozenset({"fleet_host", "fleet_homeless", "fleet_database"})
"""Keys of what every host of a fleet sees: on all of them it is one alert."""
OF_CAPS: Final = frozenset({"cap", "cap_latch"})
"""First words of keys: of no account, they are about a cap of fleet or groups, which every host sees likewise."""
_SEPARATORS: Final = str.maketrans("", "", "_.-")
"""What a key may have besides letters and digits."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Who looks after it, since when; `level` is what it was then, `gone_us` since when it is not open."""

    by: str
    at_us: int
    level: str
    gone_us: int | None = None


@dataclass(frozen=True, slots=True)
class Mute:
    """A key (all of it, or its first word) of an account ("": of all) and a place in it ("": all)."""

    key: str
    account: str
    where: str
    by: str
    at_us: int
    until_us: int

    def holds_for(self, row: Row, now_us: int) -> bool:
        is_key = row["key"] == self.key or row["key"].partition(".")[0] == self.key
        is_there = self.account in ("", row["account"]) and self.where in ("", row["strategy"] or row["child"])
        return is_key and is_there and now_us < self.until_us


@dataclass(frozen=True, slots=True)
class Marks:
    """Acknowledgements by the id of their alert, and what is muted by what the operator called it."""

    acks: Mapping[str, Ack] = field(default_factory=dict)
    mutes: Mapping[str, Mute] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "acks": {name: [ack.by, ack.at_us, ack.level] for name, ack in self.acks.items()},
            "mutes": {
                name: [each.key, each.account, each.where, each.by, each.at_us, each.until_us]
                for name, each in self.mutes.items()
            },
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Marks:
        """Read what `to_document` wrote. KeyError, TypeError, AttributeError or ValueError for anything else."""
        acks = {str(name): Ack(str(by), int(at), str(level)) for name, (by, at, level) in document["acks"].items()}
        mutes = {
            str(name): Mute(str(key), str(account), str(where), str(by), int(at), int(until))
            for name, (key, account, where, by, at, until) in document["mutes"].items()
        }
        return cls(acks, mutes)


def alert_id(row: Row) -> str:
    """Six letters and digits that name an alert: of its account, place, key and cause, and of its host (`of_host`)."""
    about = "\0".join(str(row.get(name) or "") for name in ("account", "strategy", "child", "key", "cause"))
    about += f"\0{row['host']}" if row.get("host") else ""
    return b32encode(hashlib.sha256(about.encode()).digest())[:6].decode().lower()


def of_host(row: Row, host: str) -> dict[str, Any]:
    """An open alert of a host of a fleet ("": of no fleet): what is of its own processes is no other host's alert."""
    is_wide = row["key"] in FLEET_WIDE or row["key"].partition(".")[0] in OF_CAPS
    is_own = host and not row["account"] and not is_wide
    return {**row, "host": host} if is_own else {**row}


def marked(row: Row, marks: Marks, now_us: int) -> dict[str, Any]:
    """An open alert with its `id`, who has acknowledged it and until when it is muted; None: nobody, it is not."""
    name = alert_id(row)
    ack, silence = marks.acks.get(name), _muted(row, marks, now_us)
    holds = ack is not None and LEVELS.index(row["level"]) <= LEVELS.index(ack.level)
    return {
        **row,
        "id": name,
        "acked": {"by": ack.by, "at": utc_text(ack.at_us)} if ack is not None and holds else None,
        "muted_until": None if silence is None else utc_text(silence.until_us),
    }


def acknowledge(marks: Marks, rows: Iterable[Row], name: str, by: str, now_us: int) -> tuple[Marks, str]:
    """Somebody looks after the open alert of this id. CommandMistake for one that is not open."""
    row = _open(rows, name)
    acks = {**marks.acks, row["id"]: Ack(by, now_us, row["level"])}
    return replace(marks, acks=acks), f"acknowledged until it is over or gets worse: {row['text']}"


def mute(
    marks: Marks, rows: Sequence[Row], what: str, account: str, seconds: int, by: str, now_us: int
) -> tuple[Marks, str]:
    """Show an open alert by its id, or all of a key, no more for so many seconds."""
    until_us = now_us + seconds * 1_000_000
    row = next((row for row in rows if row["id"] == what), None)
    if row is not None:
        new = Mute(row["key"], row["account"], row["strategy"] or row["child"], by, now_us, until_us)
    else:
        known = sorted({row["key"].partition(".")[0] for row in rows} | {row["id"] for row in rows})
        if not what.translate(_SEPARATORS).isalnum():
            raise CommandMistake(f"expected an id or a key of an alert, got {shown(what)}{did_you_mean(what, known)}")
        new = Mute(what, account, "", by, now_us, until_us)
    kept = {name: each for name, each in marks.mutes.items() if now_us < each.until_us}
    count = sum(new.holds_for(row, now_us) for row in rows)
    text = f"muted until {utc_text(until_us)}, {count} open now"
    return replace(marks, mutes={**dict(list(kept.items())[-MOST:]), what: new}), text


def unmute(marks: Marks, what: str) -> tuple[Marks, str]:
    """Take back what was said, by the id or the key that it was said of. CommandMistake when nothing was."""
    if what not in marks.mutes and what not in marks.acks:
        known = [*marks.mutes, *marks.acks]
        there = f"there are {', '.join(known)}" if known else "nothing is muted or acknowledged"
        raise CommandMistake(
            f"nothing called {shown(what)} is muted or acknowledged; {there}{did_you_mean(what, known)}"
        )
    acks = {name: ack for name, ack in marks.acks.items() if name != what}
    mutes = {name: each for name, each in marks.mutes.items() if name != what}
    return Marks(acks, mutes), "shown again"


def pruned(marks: Marks, rows: Iterable[Row], silent: Collection[str], now_us: int) -> Marks:
    """Without what is over: acknowledgements of alerts that ended or got worse, and mutes whose time has come.

    `silent` are accounts whose worker does not report: nobody knows what is open there.
    """
    levels = {row["id"]: row for row in rows}
    acks = {}
    for name, ack in marks.acks.items():
        row = levels.get(name)
        if row is None and not silent and ack.gone_us is not None and now_us - ack.gone_us > GONE_US:
            continue
        if row is not None and LEVELS.index(row["level"]) > LEVELS.index(ack.level):
            continue
        gone_us = None if row is not None or silent else ack.gone_us or now_us
        acks[name] = ack if gone_us == ack.gone_us else replace(ack, gone_us=gone_us)
    mutes = {name: each for name, each in marks.mutes.items() if now_us < each.until_us}
    is_same = acks == marks.acks and len(mutes) == len(marks.mutes)
    return marks if is_same else Marks(acks, mutes)


def _open(rows: Iterable[Row], name: str) -> Row:
    known = []
    for row in rows:
        if row["id"] == name:
            return row
        known.append(row["id"])
    there = f"open are {', '.join(known)}" if known else "no alert is open"
    raise CommandMistake(f"no open alert has the id {shown(name)}; {there}{did_you_mean(name, known)}")


def _muted(row: Row, marks: Marks, now_us: int) -> Mute | None:
    found = [each for each in marks.mutes.values() if each.holds_for(row, now_us)]
    return max(found, key=lambda each: each.until_us) if found else None
