"""Which accounts and strategies of a fleet something is meant for: names, patterns, groups, or all.

| written                     | means                                                                               |
|-----------------------------|-------------------------------------------------------------------------------------|
| `alice`                     | the account, with all its strategies                                                |
| `alice/alice-btc`           | this strategy alone                                                                 |
| `al*`, `*/btc-*`, `a?/[be]*` | every account, or strategy, that the pattern fits; at least one has to              |
| `--group night`             | every account that has this label                                                   |
| `--all`                     | every account                                                                       |

Each adds to the others, but `--all` stands alone. An account beside one of its own strategies is the whole account.
What fits nothing is a mistake, and then nothing is addressed at all. `*/*` names each strategy for itself; for `resume`
that is not the same as `--all`, which lifts the latches of the accounts as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from gridbot.commands.wording import CommandMistake, did_you_mean, shown

__all__ = [
    "Addressed",
    "FleetMember",
    "TargetWords",
    "accounts_of",
    "fleet_of",
    "is_pattern",
    "listed",
    "members_of",
    "resolve",
]

MOST_LISTED: Final = 12
"""Names that a mistake lists; of more it says how many."""
_SIGNS: Final = frozenset("*?[")
"""What makes a word a pattern; no name has any of them."""


@dataclass(frozen=True, slots=True)
class FleetMember:
    """An account that there is, with its strategies and its labels in the order of the configuration."""

    account: str
    strategies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetWords:
    """What was written. `strategy` is the older `--strategy`, which narrows one account to one of its strategies."""

    words: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    everything: bool = False
    strategy: str = ""

    @property
    def are_none(self) -> bool:
        """Whether nothing was named. What only reads then takes every account; what acts asks for a name."""
        return not (self.words or self.groups or self.everything or self.strategy)


@dataclass(frozen=True, slots=True)
class Addressed:
    """One account as a whole, or one strategy of it. As text it is a word that means the same."""

    account: str
    strategy: str = ""
    is_account: bool = True
    """False for a process that is none, such as the writer: it is not counted."""

    def __str__(self) -> str:
        return f"{self.account}/{self.strategy}" if self.strategy else self.account


def resolve(written: TargetWords, fleet: Sequence[FleetMember], *, whole_for: str = "") -> tuple[Addressed, ...]:
    """What is addressed, each once, in the order of the fleet. Never empty.

    `whole_for` is the command that acts on whole accounts only, if it does. Raises CommandMistake, which says for each
    word that fits nothing what there is.
    """
    _check_together(written, fleet)
    words = (f"{written.words[0]}/{written.strategy}",) if written.strategy else written.words
    whole: set[str] = {member.account for member in fleet if written.everything}
    parts: set[tuple[str, str]] = set()
    mistakes = []
    for word in words:
        try:
            for found in _meant(word, fleet, whole_for):
                whole |= set() if found.strategy else {found.account}
                parts |= {(found.account, found.strategy)} if found.strategy else set()
        except CommandMistake as mistake:
            mistakes.append(str(mistake))
    for group in written.groups:
        having = {member.account for member in fleet if group in member.groups}
        whole |= having
        if not having:
            mistakes.append(_no_group(group, fleet))
    if mistakes:
        raise CommandMistake("; ".join(dict.fromkeys(mistakes)))
    return tuple(_in_order(fleet, whole, parts))


def accounts_of(addressed: Sequence[Addressed]) -> list[str]:
    """The accounts that are addressed, as a whole or in part, each once."""
    return list(dict.fromkeys(each.account for each in addressed if each.is_account))


def members_of(accounts: Sequence[Mapping[str, Any]]) -> tuple[FleetMember, ...]:
    """The fleet, from the rows `accounts` of the status model."""
    return tuple(
        FleetMember(
            str(row["account"]),
            tuple(str(strategy["strat_id"]) for strategy in row["strategies"]),
            tuple(map(str, row.get("groups", ()))),
        )
        for row in accounts
    )


def fleet_of(status: Mapping[str, Any]) -> tuple[FleetMember, ...]:
    """All accounts of a status model: those of its supervisor, and those that other hosts of its fleet have."""
    return members_of([*status["accounts"], *status.get("elsewhere", ())])


def is_pattern(word: str) -> bool:
    return not _SIGNS.isdisjoint(word)


def listed(names: Sequence[str]) -> str:
    """Names as a list that fits into a sentence: the first ones, and how many more there are."""
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _check_together(written: TargetWords, fleet: Sequence[FleetMember]) -> None:
    accounts = listed([member.account for member in fleet])
    if written.strategy and (len(written.words) != 1 or "/" in written.words[0] or written.groups):
        raise CommandMistake(
            "expected one ACCOUNT together with --strategy; for several write ACCOUNT/STRATEGY of each"
        )
    if written.everything and (written.words or written.groups):
        others = ", ".join((*map(shown, written.words), *(f"--group {group}" for group in written.groups)))
        raise CommandMistake(f"expected --all alone, got {others} beside it; leave one of the two out")
    if written.are_none:
        what = "expected ACCOUNT, ACCOUNT/STRATEGY, a pattern, --group NAME or --all, got none"
        raise CommandMistake(f"{what}; there are {accounts or 'no accounts'}")


def _in_order(fleet: Sequence[FleetMember], whole: set[str], parts: set[tuple[str, str]]) -> Iterator[Addressed]:
    for member in fleet:
        if member.account in whole:
            yield Addressed(member.account)
            continue
        for strategy in member.strategies:
            if (member.account, strategy) in parts:
                yield Addressed(member.account, strategy)


def _meant(word: str, fleet: Sequence[FleetMember], whole_for: str) -> Iterator[Addressed]:
    account, slash, strategy = word.partition("/")
    members = [member for member in fleet if _fits(account, member.account)]
    if not members:
        raise CommandMistake(_no_account(word, account, fleet))
    if not slash:
        yield from (Addressed(member.account) for member in members)
        return
    if whole_for:
        text = f"{whole_for} acts on whole accounts: expected ACCOUNT, got {shown(word)}; write {shown(account)}"
        raise CommandMistake(text)
    found = [Addressed(member.account, s) for member in members for s in member.strategies if _fits(strategy, s)]
    if not found:
        raise CommandMistake(_no_strategy(word, strategy, members))
    yield from found


def _fits(written: str, name: str) -> bool:
    return fnmatchcase(name, written) if is_pattern(written) else written == name


def _no_account(word: str, account: str, fleet: Sequence[FleetMember]) -> str:
    names = [member.account for member in fleet]
    owner = next((m.account for m in fleet if word in m.strategies), "")  # somebody has written the strategy alone
    hint = f"; did you mean {owner}/{word}?" if owner else did_you_mean(account, names)
    what = "a pattern that fits an account" if is_pattern(account) else "an account"
    return f"expected {what} ({listed(names)}), got {shown(word)}{hint}"


def _no_strategy(word: str, strategy: str, members: Sequence[FleetMember]) -> str:
    known = {s: member.account for member in members for s in member.strategies}
    whose = members[0].account if len(members) == 1 else f"the {len(members)} accounts that fit"
    what = "a pattern that fits a strategy" if is_pattern(strategy) else "a strategy"
    meant = did_you_mean(strategy, list(known))
    for name, account in known.items():
        meant = meant.replace(f"mean {name}?", f"mean {account}/{name}?")
    return f"expected {what} of {whose} ({listed(list(known)) or 'there is none'}), got {shown(word)}{meant}"


def _no_group(group: str, fleet: Sequence[FleetMember]) -> str:
    known = list(dict.fromkeys(label for member in fleet for label in member.groups))
    if not known:
        return f"expected a group, got {shown(group)}; no account has any: `groups: [NAME]` in the configuration"
    return f"expected a group ({listed(known)}), got {shown(group)}{did_you_mean(group, known)}"
