"""What a command is meant for: words, patterns and groups against a fleet, and in which words the rest is refused."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.commands.targets import (
    Addressed,
    FleetMember,
    TargetWords,
    accounts_of,
    is_pattern,
    listed,
    members_of,
    resolve,
)
from gridbot.commands.wording import CommandMistake
from tests.case_table import case_table

FLEET = (
    FleetMember("alice", ("alice-btc", "alice-eth"), ("night", "vip")),
    FleetMember("al", ("btc-al",)),
    FleetMember("bob", ("btc-1", "btc-2", "sol"), ("night",)),
    FleetMember("idle"),
)


def addressed(*words: str, fleet: tuple[FleetMember, ...] = FLEET, groups: str = "", **more: object) -> list[str]:
    written = TargetWords(words, tuple(groups.split()), **more)  # type: ignore[arg-type]
    return [str(each) for each in resolve(written, fleet)]


@case_table(
    ("words", "groups", "expected"),
    [
        ("alice", "", "alice"),
        ("bob alice", "", "alice bob"),
        ("alice alice", "", "alice"),
        ("alice/alice-eth", "", "alice/alice-eth"),
        ("bob/sol bob/btc-1", "", "bob/btc-1 bob/sol"),
        ("alice/alice-btc alice", "", "alice"),
        ("al*", "", "alice al"),
        ("al?*", "", "alice"),
        ("[!ab]*", "", "idle"),
        ("*", "", "alice al bob idle"),
        ("*/btc-*", "", "al/btc-al bob/btc-1 bob/btc-2"),
        ("*/*", "", "alice/alice-btc alice/alice-eth al/btc-al bob/btc-1 bob/btc-2 bob/sol"),
        ("bob/*[12]", "", "bob/btc-1 bob/btc-2"),
        ("", "night", "alice bob"),
        ("", "night vip", "alice bob"),
        ("idle bob/sol", "vip", "alice bob/sol idle"),
    ],
)
def test_what_is_written_means_these(words: str, groups: str, expected: str) -> None:
    assert addressed(*words.split(), groups=groups) == expected.split()


def test_all_is_every_account_and_the_older_option_one_strategy() -> None:
    assert addressed(everything=True) == ["alice", "al", "bob", "idle"]
    assert addressed("bob", strategy="sol") == ["bob/sol"]
    assert accounts_of(resolve(TargetWords(("*/btc-*",)), FLEET)) == ["al", "bob"]


@case_table(
    ("words", "more", "text"),
    [
        ("alise", {}, "expected an account (alice, al, bob, idle), got 'alise'; did you mean alice?"),
        ("sol", {}, "expected an account (alice, al, bob, idle), got 'sol'; did you mean bob/sol?"),
        ("x*", {}, "expected a pattern that fits an account (alice, al, bob, idle), got 'x*'"),
        ("ALICE", {}, "expected an account (alice, al, bob, idle), got 'ALICE'"),
        (
            "alice/alice-bct",
            {},
            "expected a strategy of alice (alice-btc, alice-eth), got 'alice/alice-bct'; did you mean alice/alice-btc?",
        ),
        ("alice/", {}, "expected a strategy of alice (alice-btc, alice-eth), got 'alice/'"),
        ("/sol", {}, "expected an account (alice, al, bob, idle), got '/sol'"),
        ("idle/x", {}, "expected a strategy of idle (there is none), got 'idle/x'"),
        (
            "al*/x*",
            {},
            "expected a pattern that fits a strategy of the 2 accounts that fit (alice-btc, alice-eth, btc-al), "
            "got 'al*/x*'",
        ),
        ("", {"groups": ("nite",)}, "expected a group (night, vip), got 'nite'; did you mean night?"),
        (
            "bob x y",
            {"groups": ("z",)},
            "expected an account (alice, al, bob, idle), got 'x'; expected an account (alice, al, bob, idle), got 'y'; "
            "expected a group (night, vip), got 'z'",
        ),
        ("", {}, "expected ACCOUNT, ACCOUNT/STRATEGY, a pattern, --group NAME or --all, got none; there are alice, "),
        ("bob", {"everything": True}, "expected --all alone, got 'bob' beside it; leave one of the two out"),
        ("", {"everything": True, "groups": ("vip",)}, "expected --all alone, got --group vip beside it"),
        ("bob alice", {"strategy": "sol"}, "expected one ACCOUNT together with --strategy"),
        ("bob/sol", {"strategy": "sol"}, "expected one ACCOUNT together with --strategy"),
        ("", {"strategy": "sol"}, "expected one ACCOUNT together with --strategy"),
        (
            "bob",
            {"strategy": "so"},
            "expected a strategy of bob (btc-1, btc-2, sol), got 'bob/so'; did you mean bob/sol?",
        ),
    ],
)
def test_what_fits_nothing_is_refused_with_what_there_is(words: str, more: dict[str, object], text: str) -> None:
    with pytest.raises(CommandMistake) as caught:
        resolve(TargetWords(tuple(words.split()), **more), FLEET)  # type: ignore[arg-type]
    assert str(caught.value).startswith(text)


def test_a_fleet_without_groups_says_how_to_give_some() -> None:
    with pytest.raises(CommandMistake, match=r"no account has any: `groups: \[NAME\]` in the configuration"):
        resolve(TargetWords(groups=("night",)), (FleetMember("a"),))


def test_a_command_for_whole_accounts_takes_no_strategy() -> None:
    assert resolve(TargetWords(("al*",)), FLEET, whole_for="reconcile") == (Addressed("alice"), Addressed("al"))
    with pytest.raises(CommandMistake) as caught:
        resolve(TargetWords(("al*/btc-*",)), FLEET, whole_for="reconcile")
    assert str(caught.value) == ("reconcile acts on whole accounts: expected ACCOUNT, got 'al*/btc-*'; write 'al*'")


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(50)]).endswith("10, 11 and 38 more")
    assert listed([]) == ""


def test_the_fleet_of_a_status() -> None:
    rows: list[dict[str, Any]] = [
        {"account": "a", "groups": ["x"], "strategies": [{"strat_id": "s"}, {"strat_id": "t"}]},
        {"account": "b", "strategies": []},  # of a supervisor before there were groups
    ]
    assert members_of(rows) == (FleetMember("a", ("s", "t"), ("x",)), FleetMember("b"))


# Few letters, so that names and patterns meet; strategies may be called like accounts.
names = st.text(alphabet="ab-", min_size=1, max_size=3)
patterns = st.text(alphabet="ab-*?[]!", min_size=1, max_size=4)
strategy_names = st.lists(names, max_size=3, unique=True).map(tuple)
fleets = st.lists(
    st.builds(FleetMember, names, strategy_names, st.lists(names, max_size=2, unique=True).map(tuple)),
    min_size=1,
    max_size=5,
    unique_by=lambda member: member.account,
).map(tuple)
words = names | patterns | st.builds("{}/{}".format, names | patterns, names | patterns)
written_words = st.builds(
    TargetWords, st.lists(words, max_size=4).map(tuple), st.lists(names, max_size=2).map(tuple), st.booleans()
)


def naive(word: str, fleet: tuple[FleetMember, ...]) -> set[tuple[str, str]]:
    """Of one word, every (account, strategy) that it covers; an account as a whole has the strategy ""."""
    account, slash, strategy = word.partition("/")
    members = [m for m in fleet if m.account == account or (is_pattern(account) and fnmatchcase(m.account, account))]
    if not slash:
        return {(m.account, s) for m in members for s in ("", *m.strategies)}
    return {
        (m.account, s)
        for m in members
        for s in m.strategies
        if s == strategy or (is_pattern(strategy) and fnmatchcase(s, strategy))
    }


def outcome(written: TargetWords, fleet: tuple[FleetMember, ...]) -> tuple[Addressed, ...] | str:
    """What is addressed, or the words of the refusal."""
    try:
        return resolve(written, fleet)
    except CommandMistake as mistake:
        text = str(mistake)
    assert text.startswith("expected ")
    return text


@given(fleets, written_words)
def test_exactly_what_is_written_is_addressed_or_nothing_at_all(
    fleet: tuple[FleetMember, ...], written: TargetWords
) -> None:
    wanted = [naive(word, fleet) for word in written.words]
    wanted += [{(m.account, s) for m in fleet if g in m.groups for s in ("", *m.strategies)} for g in written.groups]
    wanted += [naive("*", fleet)] if written.everything else []
    found = outcome(written, fleet)
    if isinstance(found, str):
        alone = written.everything and (written.words or written.groups)
        assert alone or not wanted or not all(wanted), "refused although every word fits something"
        return
    assert all(wanted), "a word that fits nothing is never passed over"
    strategies = {member.account: member.strategies for member in fleet}
    covered = {
        (each.account, s)
        for each in found
        for s in ((each.strategy,) if each.strategy else ("", *strategies[each.account]))
    }
    assert covered == set().union(*wanted)
    assert len(set(found)) == len(found)
    whole = {each.account for each in found if not each.strategy}
    assert not any(each.strategy and each.account in whole for each in found), "no strategy beside its whole account"
    order = [member.account for member in fleet]
    assert [order.index(each.account) for each in found] == sorted(order.index(each.account) for each in found)
    assert resolve(TargetWords(tuple(map(str, found))), fleet) == found, "as text they mean the same"


@given(fleets, st.lists(st.text(max_size=8), max_size=3).map(tuple), st.text(max_size=8))
def test_whatever_comes_is_resolved_or_refused_in_words(
    fleet: tuple[FleetMember, ...], texts: tuple[str, ...], other: str
) -> None:
    for written in (TargetWords(texts), TargetWords(texts, (other,)), TargetWords(texts, strategy=other)):
        assert outcome(written, fleet)
