"""From the configuration in force and a new one to what a reload does: typed changes, and what is in force then. Pure.

Keys that need a restart keep their value of before in `in_force`; `after_restart` is the new file for an account whose
operator restarts it. Values of keys and secrets never leave here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.fleet_document import SHARED_OF_FLEET
from gridbot.config.fleet_models import FleetConfig
from gridbot.config.models import GridbotConfig
from gridbot.config.reload_caps import OVER_HOSTS, caps_in_force, fleet_in_force, live_keys
from gridbot.config.reload_keys import KEYS, Applies, KeyRule, key_rule

__all__ = ["AccountChange", "KeyChange", "ReloadPlan", "StrategyChange", "Word", "reload_plan"]


WAITS: Final = (Applies.ACCOUNT, Applies.NEVER, Applies.SUPERVISOR)
BESIDE: Final = tuple(name for name, rule in KEYS.items() if rule.applies is Applies.BESIDE)
"""Sections of processes beside trading, each as a whole."""


class Word(StrEnum):
    """What becomes of an account or a strategy."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Another value of a key; `before` and `after` are as people write them, those of secrets are not told."""

    key: str
    before: str
    after: str
    rule: KeyRule


@dataclass(frozen=True, slots=True)
class StrategyChange:
    word: Word
    strategy: str
    account: str
    symbol: str
    keys: tuple[KeyChange, ...] = ()


@dataclass(frozen=True, slots=True)
class AccountChange:
    """`needs_restart`: the keys that count only after a restart of the account."""

    word: Word
    account: str
    environment: str
    keys: tuple[KeyChange, ...] = ()

    @property
    def needs_restart(self) -> tuple[KeyChange, ...]:
        return tuple(key for key in self.keys if key.rule.applies is Applies.ACCOUNT)


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """What differs, by account, strategy and for the fleet; `in_force` is what counts when all is applied."""

    in_force: GridbotConfig
    accounts: tuple[AccountChange, ...] = ()
    strategies: tuple[StrategyChange, ...] = ()
    fleet: tuple[KeyChange, ...] = ()
    after_restart: Mapping[str, AccountConfig] = field(default_factory=dict)
    """By account: as the new file has it, where that needs a restart."""

    @property
    def is_empty(self) -> bool:
        return not (self.accounts or self.strategies or self.fleet)

    def names(self, word: Word) -> list[str]:
        """The accounts of which this is so."""
        return [change.account for change in self.accounts if change.word is word]

    @property
    def touched(self) -> list[str]:
        """The accounts that stay and whose worker has something to do."""
        live = [
            change.account
            for change in self.accounts
            if change.word is Word.CHANGED
            and any(key.rule.applies is Applies.LIVE and key.key.startswith("accounts.caps.") for key in change.keys)
        ]
        staying = {*self.in_force_names} - {*self.names(Word.ADDED)}
        moved = [change.account for change in self.strategies if change.account in staying]
        return list(dict.fromkeys([*live, *moved]))

    @property
    def in_force_names(self) -> list[str]:
        return [account.name for account in self.in_force.accounts]


def reload_plan(old: GridbotConfig, new: GridbotConfig) -> ReloadPlan:
    """`old` is in force, `new` is the file, both checked."""
    accounts = tuple(_accounts(old, new))
    fleet = tuple(_fleet(old, new))
    kept, staged = list[AccountConfig](), dict[str, AccountConfig]()
    known = {account.name: account for account in old.accounts}
    for account in new.accounts:
        before = known.get(account.name)
        if before is None:
            kept.append(account)
            continue
        changes = _of_account(old, before, account)
        kept.append(account.model_copy(update=_kept(before, changes, *WAITS)))
        if any(change.rule.applies is Applies.ACCOUNT for change in changes):
            update = _kept(before, changes, Applies.NEVER, Applies.SUPERVISOR)
            staged[account.name] = account.model_copy(update=update)
    update_all: dict[str, Any] = {"accounts": tuple(kept), "strategies": new.strategies}
    update_all |= {key: getattr(new, key) for key in ("allow_mainnet", "environment")}
    update_all |= {name: getattr(new, name) for name in BESIDE}
    update_all["fleet"] = fleet_in_force(old.fleet, new.fleet)
    update_all["web"] = old.web.model_copy(update={"allow_commands": new.web.allow_commands})
    return ReloadPlan(old.model_copy(update=update_all), accounts, tuple(_strategies(old, new)), fleet, staged)


def _kept(before: AccountConfig, changes: Sequence[KeyChange], *applies: Applies) -> dict[str, Any]:
    """What of an account stays as it was, of what applies so."""
    names = [change.key.removeprefix("accounts.") for change in changes if change.rule.applies in applies]
    return {name: getattr(before, name) for name in names}


def _of_account(old: GridbotConfig, before: AccountConfig, after: AccountConfig) -> tuple[KeyChange, ...]:
    """The keys of an account that differ. Other labels wait for the supervisor where caps go by them."""
    capped = {name for name, group in old.fleet.groups.items() if group.caps.is_set}
    waits = {*before.groups} & capped != {*after.groups} & capped
    rule = KeyRule(Applies.SUPERVISOR, "caps of `fleet.groups` go by it, which are counted from the start on")
    return tuple(
        replace(change, rule=rule) if waits and change.key == "accounts.groups" else change
        for change in _keys("accounts", before, after)
    )


def _accounts(old: GridbotConfig, new: GridbotConfig) -> Iterator[AccountChange]:
    before = {account.name: account for account in old.accounts}
    after = {account.name: account for account in new.accounts}
    for name, account in after.items():
        if name not in before:
            yield AccountChange(Word.ADDED, name, str(account.environment))
        elif keys := _of_account(old, before[name], account):
            yield AccountChange(Word.CHANGED, name, str(before[name].environment), keys)
    for name, account in before.items():
        if name not in after:
            yield AccountChange(Word.REMOVED, name, str(account.environment))


def _strategies(old: GridbotConfig, new: GridbotConfig) -> Iterator[StrategyChange]:
    """Of one that moves to another account: it goes from the one, and comes to the other."""
    before = {each.strat_id: each for each in old.strategies}
    after = {each.strat_id: each for each in new.strategies}
    for name, strategy in after.items():
        earlier = before.get(name)
        if earlier is None:
            yield _change(Word.ADDED, strategy)
        elif earlier != strategy:
            keys = tuple(_keys("strategies", earlier, strategy))
            if earlier.account != strategy.account:
                yield _change(Word.REMOVED, earlier, keys)
                yield _change(Word.ADDED, strategy, keys)
            else:
                replaces = any(key.rule.applies is Applies.REPLACES for key in keys)
                yield _change(Word.REPLACED if replaces else Word.CHANGED, strategy, keys)
    for name, strategy in before.items():
        if name not in after:
            yield _change(Word.REMOVED, strategy)


def _change(word: Word, strategy: StrategyConfig, keys: tuple[KeyChange, ...] = ()) -> StrategyChange:
    return StrategyChange(word, strategy.strat_id, strategy.account, strategy.symbol, keys)


def _fleet(old: GridbotConfig, new: GridbotConfig) -> Iterator[KeyChange]:
    for name in GridbotConfig.model_fields:
        if name in ("accounts", "strategies"):
            continue
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if name == "fleet":
            live = set(live_keys(before.caps, after.caps)) if before.is_host else set[str]()
            for change in _keys("fleet.caps", before.caps, after.caps):
                yield replace(change, rule=OVER_HOSTS) if change.key.rpartition(".")[2] in live else change
            yield from _of_host(before, after)
            for group in dict.fromkeys([*before.groups, *after.groups]):
                one, other = before.groups.get(group), after.groups.get(group)
                if one != other:
                    rule = key_rule("fleet.groups.caps.max_notional")
                    if before.is_host and one is not None and other is not None:
                        is_live = caps_in_force(one.caps, other.caps) == other.caps
                        rule = OVER_HOSTS if is_live else rule
                    texts = ["not there" if each is None else "other caps" for each in (one, other)]
                    yield KeyChange(f"fleet.groups.{group}", texts[0], texts[1], rule)
        elif isinstance(before, BaseModel):
            yield from _keys(name, before, after)
        else:
            yield KeyChange(name, _shown(before), _shown(after), key_rule(name))


def _of_host(before: FleetConfig, after: FleetConfig) -> Iterator[KeyChange]:
    """What makes this machine a host of a fleet, but for where it finds keys."""
    for key in FleetConfig.model_fields:
        one, other = getattr(before, key), getattr(after, key)
        if one == other or key in SHARED_OF_FLEET:
            continue
        if key == "keys":
            yield KeyChange("fleet.keys", "not shown", "not shown", key_rule("fleet.keys.keyring"))
        else:
            yield KeyChange(f"fleet.{key}", _shown(one), _shown(other), key_rule(f"fleet.{key}"))


def _keys(path: str, before: BaseModel, after: BaseModel) -> Iterator[KeyChange]:
    """The keys of two sections that differ, those of sections within them too."""
    names = dict.fromkeys([*type(before).model_fields, *type(after).model_fields])
    for name in names:
        one, other = getattr(before, name, None), getattr(after, name, None)
        if one == other:
            continue
        key = f"{path}.{name}"
        if isinstance(one, BaseModel) and isinstance(other, BaseModel):
            yield from _keys(key, one, other)
        else:
            yield KeyChange(key, _shown(one), _shown(other), key_rule(key))


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "not shown"
    if value is None or value == "":
        return "none"
    if isinstance(value, tuple):
        return ", ".join(map(_named, value)) or "none"
    return str(value)


def _named(value: Any) -> str:
    """Of a route its name, of a user of Telegram number and role; what else is in them is not told."""
    if isinstance(value, BaseModel):
        return " ".join(str(getattr(value, name)) for name in ("name", "id", "role") if hasattr(value, name))
    return str(value)
