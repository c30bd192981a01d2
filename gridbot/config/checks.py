"""Rules that involve more than one key: references, uniqueness, real money.

They look at the raw entries, not at validated ones, so that one run shows every problem of a file: a wrong step in a
strategy does not hide that its account does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gridbot.config.account_models import missing_keys
from gridbot.config.errors import Loc, Problem
from gridbot.exchange.environment import Environment
from gridbot.orders.ids import account_tag, strategy_tag

__all__ = ["Parts", "conflicts"]

Entry = Mapping[str, Any]
Entries = dict[int, Entry]
Section = Literal["accounts", "strategies"]


@dataclass(slots=True)
class Parts:
    """The entries of a file that are mappings, by their index in it; `environment` is resolved in each account."""

    accounts: Entries = field(default_factory=dict)
    strategies: Entries = field(default_factory=dict)
    allow_mainnet: bool = False
    capped_groups: tuple[str, ...] = ()
    """The labels that `fleet.groups` names."""
    label: Callable[[str, int], str] = "{}[{}]".format
    """How the file names an entry of a section."""

    def entries(self, section: Section) -> Entries:
        return self.accounts if section == "accounts" else self.strategies

    def names(self) -> list[str]:
        return list(dict.fromkeys(str(account["name"]) for account in self.accounts.values() if account.get("name")))


def conflicts(parts: Parts) -> Iterator[Problem]:
    """Every rule that is broken. The caller fills in the lines."""
    yield from _accounts(parts)
    yield from _strategies(parts)
    yield from _capped_groups(parts)
    for index, account in parts.accounts.items():
        yield from _account(("accounts", index), account, parts)


def _accounts(parts: Parts) -> Iterator[Problem]:
    yield from _twice(
        parts, "accounts", "name", lambda account: _folded(account.get("name")),
        "a name no other account has", "choose another name",
    )  # fmt: skip
    yield from _same_tags(parts, "accounts", "name", "environment", account_tag)
    yield from _twice(
        parts, "accounts", "api_key", lambda account: str(account["api_key"]), "a key no other account uses",
        "give each account its own API key: two workers on one account would trade against each other",
    )  # fmt: skip
    yield from _groups(parts)


def _strategies(parts: Parts) -> Iterator[Problem]:
    yield from _twice(
        parts, "strategies", "strat_id", lambda strategy: _folded(strategy.get("strat_id")),
        "a strat_id no other strategy has", "choose another: orders and saved grids belong to it",
    )  # fmt: skip
    yield from _same_tags(parts, "strategies", "strat_id", "account", lambda account, strat_id: strategy_tag(strat_id))
    yield from _twice(
        parts, "strategies", "symbol", _market,
        "one strategy per account and symbol", "use another account: the two would share one position",
    )  # fmt: skip
    names = parts.names()
    for index, strategy in parts.strategies.items():
        name = strategy.get("account")
        if name is not None and str(name) not in names:
            wanted = f"the name of an account ({', '.join(names) or 'there is none'})"
            do = "correct the name or add the account"
            yield Problem(("strategies", index, "account"), wanted, f"`{name}`", do)


def _account(loc: Loc, account: Entry, parts: Parts) -> Iterator[Problem]:
    environment = str(account.get("environment"))
    if environment == Environment.MAINNET.value and not parts.allow_mainnet:
        yield Problem(
            (*loc, "environment"),
            "`allow_mainnet: true` at the root of the file for an account with real money",
            "no such permission",
            "nothing is sent to mainnet by default: add it, or use paper, testnet or demo",
        )
    if (problem := missing_keys(str(account.get("name")), environment, account)) is not None:
        key, what, do = problem
        yield Problem((*loc, key), what, "nothing", do)
    if account.get("balance") is not None and environment != Environment.PAPER.value:
        do = "remove it: the exchange knows the balance"
        yield Problem((*loc, "balance"), "a balance on paper accounts only", f"environment {environment}", do)


def _groups(parts: Parts) -> Iterator[Problem]:
    """A problem for each label that differs from an earlier one in capitals only: a command would miss one of them."""
    first: dict[str, tuple[str, int]] = {}
    for index, account in parts.accounts.items():
        groups = account.get("groups")
        for place, group in enumerate(groups if isinstance(groups, list) else ()):
            if not isinstance(group, str) or not group:
                continue  # reported elsewhere
            spelled, other = first.setdefault(group.lower(), (group, index))
            if spelled != group:
                wanted = f"a group that is spelled as in accounts[{other}], `{spelled}`"
                do = "write both the same, or choose a label that differs in more than its capitals"
                yield Problem(("accounts", index, "groups", place), wanted, f"`{group}`", do)


def _capped_groups(parts: Parts) -> Iterator[Problem]:
    """A problem for each label of `fleet.groups` that no account has: its caps would hold for nobody."""
    labels = [
        str(group)
        for account in parts.accounts.values()
        if isinstance(account.get("groups"), list)
        for group in account["groups"]
    ]
    there = ", ".join(dict.fromkeys(labels)) or "there is none"
    for group in parts.capped_groups:
        if group not in labels:
            do = "correct the name, or add it to the `groups` of an account"
            yield Problem(("fleet", "groups", group), f"a label that an account has ({there})", f"`{group}`", do)


def _twice(
    parts: Parts, section: Section, key: str, identity: Callable[[Entry], Hashable], wanted: str, do: str
) -> Iterator[Problem]:
    """A problem for each entry whose identity an earlier one has; entries without one are reported elsewhere."""
    first: dict[Hashable, int] = {}
    for index, entry in parts.entries(section).items():
        mine = identity(entry) if isinstance(entry.get(key), str) and entry[key] else None
        if mine is None:
            continue
        if mine in first:
            value = "the same" if key == "api_key" else f"`{entry[key]}`"
            yield Problem((section, index, key), wanted, f"{value} as {parts.label(section, first[mine])}", do)
        first.setdefault(mine, index)


def _same_tags(
    parts: Parts, section: Section, key: str, among: str, tag_of: Callable[[str, str], str]
) -> Iterator[Problem]:
    """A problem for each entry whose orders would have the ids of an earlier one's, of those with the same `among`."""
    first: dict[tuple[str, str], int] = {}
    for index, entry in parts.entries(section).items():
        name, place = entry.get(key), str(entry.get(among))
        if not isinstance(name, str) or not name:
            continue  # reported elsewhere
        tag = tag_of(place, name)
        other = first.setdefault((place, tag), index)
        known = parts.entries(section)[other][key]
        if known != name:
            yield Problem(
                (section, index, key),
                f"another {key}: it gives orders the same tag `{tag}` as `{known}`, {parts.label(section, other)}",
                f"`{name}`",
                "change one of the two, best the one whose account has no orders; the tag is a hash of it",
            )


def _folded(name: Any) -> str | None:
    """Names become directories, and some file systems ignore case."""
    return None if name is None else str(name).lower()


def _market(strategy: Entry) -> tuple[str, str] | None:
    account, symbol = strategy.get("account"), strategy.get("symbol")
    return None if account is None or symbol is None else (str(account), str(symbol))
