"""The original bot's YAML -> our sections, and what became of each of its keys. Pure: a document in, values out.

Secrets never pass: of `api_key`, `api_secret` and the Telegram keys only the name of a variable is kept, where the file
has one. `gridbot/config/original_text.py` writes the new file; `docs/from-the-original-bot.md` is for people.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from gridbot.config.errors import Loc, Problem, looks_secret
from gridbot.config.original_keys import (
    ACCOUNT,
    CAPS,
    CHASE,
    NOTIFICATION,
    REFUSED_KEYS,
    ROOT,
    STRATEGY,
    TELEGRAM,
    Fate,
    OldKey,
    Outcome,
    is_of_another_base,
)
from gridbot.config.yaml_nodes import Document
from gridbot.core.strict_numbers import decimal_or_none
from gridbot.doors.plain_text import one_line

__all__ = ["Finding", "Migration", "NewAccount", "NewStrategy", "migrated"]

LONGEST_NAME: Final = 32
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}\Z")
_SECRETS = ("api_key", "api_secret")
SAFETY: Final = "safety_caps"
HIDDEN: Final = "(not shown)"


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one old key: `where` is the file, an account or a strategy; `old` its value, as text."""

    key: str
    where: str
    old: str
    given: bool
    outcome: Outcome


@dataclass(slots=True)
class NewAccount:
    """An account of the new file: its keys as they are written. `plain` are secrets that the old file spells out."""

    name: str
    keys: dict[str, str]
    plain: tuple[str, ...] = ()
    loss_limit: str = ""


@dataclass(slots=True)
class NewStrategy:
    """A strategy of the new file: its keys, and those of its caps, as they are written."""

    strat_id: str
    keys: dict[str, str]
    caps: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Migration:
    """`problems`: why the old file cannot be read (the rest is then of no use). `variables`: to be set."""

    root: dict[str, str] = field(default_factory=dict)
    accounts: list[NewAccount] = field(default_factory=list)
    strategies: list[NewStrategy] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    variables: list[str] = field(default_factory=list)

    @property
    def plain_secrets(self) -> list[str]:
        """Which secrets the old file spells out, as `alice.api_key`."""
        return [f"{account.name}.{key}" for account in self.accounts for key in account.plain]


def migrated(document: Document) -> Migration:
    """The migration of a parsed file."""
    work = _Work(document)
    work.run()
    return work.done


class _Work:
    def __init__(self, document: Document) -> None:
        self._document = document
        self.done = Migration()
        self._names: dict[str, str] = {}
        """Names of accounts: theirs -> ours."""

    def run(self) -> None:
        document, done = self._document, self.done
        done.problems += [problem for problem in document.problems if not _of_a_secret(problem.loc)]
        root = document.data
        if not isinstance(root, dict):
            if not done.problems:
                got = "an empty file" if root is None else "something else"
                self._problem((), "keys with values", got, "name the original bot's gridbot.yaml")
            return
        self._root(root)
        for index, entry in self._entries(root, "accounts"):
            self._account(index, entry)
        for index, entry in self._entries(root, "strategies"):
            self._strategy(index, entry)
        if not done.accounts and not done.problems:
            self._problem(("accounts",), "at least one account", "none", "name the original bot's gridbot.yaml")

    # ------------------------------------------------------------------ sections

    def _root(self, root: Mapping[str, Any]) -> None:
        sections = ("accounts", "strategies", NOTIFICATION)
        self._unknown(root, {*ROOT, *sections}, (), "the file")
        self.done.root = self._keys(ROOT, root, (), "the file")
        told = self._section(root, NOTIFICATION, ())
        telegram = self._section(told, "telegram", (NOTIFICATION,))
        self._unknown(told, {"telegram"}, (NOTIFICATION,), "the file")
        self._unknown(telegram, TELEGRAM, (NOTIFICATION, "telegram"), "the file")
        self._keys(TELEGRAM, telegram, (NOTIFICATION, "telegram"), "the file", shown=f"{NOTIFICATION}.telegram.")

    def _account(self, index: int, entry: Mapping[str, Any]) -> None:
        loc: Loc = ("accounts", index)
        old = str(entry.get("name") or index)
        self._unknown(entry, ACCOUNT, loc, old)
        name = _our_name(old, set(self._names.values()))
        if old in self._names:
            self._problem((*loc, "name"), "each account once", f"`{one_line(old)}` twice", "rename one of the two")
        self._names[old] = name
        keys = self._keys(ACCOUNT, entry, loc, name, replaced={"name": name})
        plain = []
        for key in _SECRETS:
            reference = _VARIABLE.match(self._document.raw.get((*loc, key), ""))
            variable = reference[1] if reference else self._new_variable(name, key)
            if not reference:
                plain.append(key)
            keys[key] = f"${{{variable}}}"
            self.done.variables += [variable] if variable not in self.done.variables else []
        self.done.accounts.append(NewAccount(name, keys, tuple(plain)))

    def _strategy(self, index: int, entry: Mapping[str, Any]) -> None:
        loc: Loc = ("strategies", index)
        old = str(entry.get("strat_id") or index)
        name = _our_name(old, {each.strat_id for each in self.done.strategies})
        self._unknown(entry, {*STRATEGY, SAFETY}, loc, name)
        account = str(entry.get("account") or "")
        if account and account not in self._names:
            known = ", ".join(one_line(each) for each in self._names) or "none"
            got = f"`{one_line(account)}`"
            self._problem((*loc, "account"), f"an account of the file ({known})", got, "name one of them")
        replaced = {"strat_id": name, "account": self._names.get(account, account)}
        chases = str(entry.get(CHASE)).lower() in ("true", "yes", "on", "1")
        keys = self._keys(STRATEGY, entry, loc, name, replaced=replaced, chases=chases)
        strategy = NewStrategy(name, keys)
        self.done.strategies.append(strategy)
        self._caps(strategy, self._section(entry, SAFETY, loc), (*loc, SAFETY))

    def _caps(self, strategy: NewStrategy, section: Mapping[str, Any], loc: Loc) -> None:
        self._unknown(section, CAPS, loc, strategy.strat_id)
        off = str(section.get("enabled")).lower() in ("false", "no", "off", "0")
        written = self._keys(CAPS, section, loc, strategy.strat_id, shown=f"{SAFETY}.", caps_off=off)
        limit = written.pop("accounts.caps.session_loss_limit", "")
        strategy.caps = {key.removeprefix("caps."): value for key, value in written.items()}
        account = next((each for each in self.done.accounts if each.name == strategy.keys.get("account")), None)
        if limit and account is not None:
            limits = [limit, *([account.loss_limit] if account.loss_limit else [])]
            account.loss_limit = min(limits, key=_size_of)

    # ------------------------------------------------------------------ keys

    def _keys(
        self,
        table: Mapping[str, OldKey],
        section: Mapping[str, Any],
        loc: Loc,
        where: str,
        *,
        shown: str = "",
        replaced: Mapping[str, str] | None = None,
        chases: bool = False,
        caps_off: bool = False,
    ) -> dict[str, str]:
        """What is to be written for the keys of one section; a finding for each."""
        written: dict[str, str] = {}
        for key, old in table.items():
            read = self._value(key, old, section, (*loc, key))
            if read is None:
                continue
            value, text, given = read
            outcome = old.rule(chases if key.startswith("chase_") else value, given)
            if caps_off:
                outcome = _of_disabled(key, outcome)
            name = (replaced or {}).get(key, text)
            if given and name != text:
                note = "our names have letters, digits, _ and -, at most 32, and nobody else's"
                outcome = Outcome(Fate.DIFFERS, note, outcome.ours, name)
            raw = self._document.raw.get((*loc, key), "")
            if outcome.fate is Fate.TAKEN and outcome.ours == key and _VARIABLE.match(raw):
                outcome = outcome._replace(written=raw)  # the variable goes on to say it
            if old.is_secret and outcome.ours:
                outcome = Outcome(Fate.TAKEN, "as a variable; the secret itself is not copied", outcome.ours)
            elif outcome.ours and outcome.written:
                written[outcome.ours] = outcome.written
            display = HIDDEN if old.is_secret and given else one_line(self._as_written(text, (*loc, key)), 60)
            self.done.findings.append(Finding(f"{shown}{key}", where, display, given, outcome))
        return written

    def _value(self, key: str, old: OldKey, section: Mapping[str, Any], loc: Loc) -> tuple[Any, str, bool] | None:
        """The value, its text, and whether the file has it; None when it is no such value, which is a problem."""
        given = section.get(key) is not None or (key in section and old.default is not None)
        if not given:
            if old.is_required:
                self._problem(loc, "a value: the original needs it too", "nothing", "add it")
                return None
            return (None if old.default is None else old.kind.read(old.default)), old.default or "", False
        text = section.get(key)
        if old.is_secret and _VARIABLE.match(self._document.raw.get(loc, "")):
            return None if isinstance(text, dict | list) else "", "", True  # whether it is set now does not matter
        try:
            if not isinstance(text, str):
                raise ValueError(key)
            return old.kind.read(text), text, True
        except ValueError:
            if any(problem.loc == loc for problem in self._document.problems):
                return None  # told already
            is_hidden = old.is_secret or looks_secret(loc)
            got = (
                "something else"
                if is_hidden or not isinstance(text, str)
                else f"`{one_line(self._as_written(text, loc), 60)}`"
            )
            do = "correct the value: neither the original nor gridbot works with it"
            if not is_hidden and isinstance(text, str) and is_of_another_base(text):
                do = "write it in plain decimal digits: YAML has other readings of this one"
            self._problem(loc, old.kind.expected, got, do)
            return None

    def _as_written(self, text: str, loc: Loc) -> str:
        """With the names of variables in place of their values."""
        raw = self._document.raw.get(loc, "")
        return raw if "${" in raw else text

    def _unknown(self, section: Mapping[str, Any], known: Collection[str], loc: Loc, where: str) -> None:
        """Keys that the original does not know: it ignored them, so a slip of the pen meant the default."""
        for key in section:
            if key in known:
                continue
            if key in REFUSED_KEYS:
                self._problem((*loc, key), "a key of the original", f"`{key}`", REFUSED_KEYS[key])
                continue
            note = f"unknown to the original, which ignored it{_meant(key, known)}"
            outcome = Outcome(Fate.IGNORED, note)
            self.done.findings.append(Finding(one_line(key, 60), one_line(where, 60), HIDDEN, True, outcome))

    # ------------------------------------------------------------------ parts of a document

    def _section(self, section: Mapping[str, Any], key: str, loc: Loc) -> Mapping[str, Any]:
        found = section.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        self._problem((*loc, key), "keys with values", "something else", "correct it, or remove it")
        return {}

    def _entries(self, root: Mapping[str, Any], key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
        found = root.get(key)
        if not isinstance(found, list | None):
            self._problem((key,), "a list", "something else", "begin each entry with `- `")
            return
        for index, entry in enumerate(found or ()):
            if isinstance(entry, dict):
                yield index, entry
            else:
                self._problem((key, index), "keys with values", "something else", "correct it")

    def _new_variable(self, name: str, key: str) -> str:
        stem = re.sub(r"^(?=[0-9])", "_", re.sub(r"\W", "_", name).upper())
        wanted, number = f"{stem}_{key.upper()}", 2
        while wanted in self.done.variables:
            wanted, number = f"{stem}_{number}_{key.upper()}", number + 1
        return wanted

    def _problem(self, loc: Loc, expected: str, got: str, do: str) -> None:
        self.done.problems.append(Problem(loc, expected, got, do, self._document.line_of(loc)))


def _meant(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key[:100], list(known), n=1)
    return f"; did you mean {near[0]}? It had its default then" if near else ""


def _of_a_secret(loc: Loc) -> bool:
    return bool(loc) and str(loc[-1]) in (*_SECRETS, *TELEGRAM)


def _of_disabled(key: str, outcome: Outcome) -> Outcome:
    """What becomes of a key of `safety_caps` when all of them are switched off."""
    off = {"max_notional_per_symbol": "off", "max_open_orders": "null", "max_orders_per_minute": "null"}
    if key == "enabled":
        return Outcome(Fate.TAKEN, "each cap of ours is switched off by itself")
    if key in off:
        return Outcome(Fate.TAKEN, "switched off, as `enabled: false` did", outcome.ours, off[key])
    note = "off in the original by `enabled: false`; ours, of the account, stays on by default: x0.25 of the wallet"
    return Outcome(Fate.DIFFERS, note) if key == "session_loss_limit" else Outcome(Fate.IGNORED, "off in the original")


def _our_name(old: str, taken: Collection[str]) -> str:
    """A name that we take, and that nobody else has."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", old).lstrip("-_")[:LONGEST_NAME] or "unnamed"
    found, number = name, 2
    while found in taken:
        found, number = f"{name[: LONGEST_NAME - 4]}-{number}", number + 1
    return found


def _size_of(text: str) -> Decimal:
    return decimal_or_none(text) or Decimal("Infinity")  # nothing is known of a variable
