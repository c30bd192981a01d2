"""From two configurations to what a reload does: each key has its row, and what waits keeps its value of before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from gridbot.config.models import GridbotConfig
from gridbot.config.notify import NotifyConfig
from gridbot.config.reload_keys import KEYS, Applies, key_rule
from gridbot.config.reload_plan import Word, reload_plan
from gridbot.config.strategy_kinds import strategy_model
from gridbot.config.telegram import TelegramConfig
from gridbot.paper.settings import PaperConfig
from gridbot.strategies.registry import KINDS

BTC: dict[str, Any] = {"strat_id": "btc", "account": "alice", "symbol": "BTCUSDT"}
ETH: dict[str, Any] = {"strat_id": "eth", "account": "alice", "symbol": "ETHUSDT"}
ALICE: dict[str, Any] = {"name": "alice", "environment": "paper"}
BOB: dict[str, Any] = {"name": "bob", "environment": "testnet", "api_key": "key-b", "api_secret": "secret-b"}


def config(*strategies: dict[str, Any], accounts: tuple[dict[str, Any], ...] = (ALICE,), **more: Any) -> GridbotConfig:
    return GridbotConfig.model_validate({"accounts": list(accounts), "strategies": list(strategies), **more})


def every_key(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Each key of the file; those of the paper exchange are one, and so are those of messages and Telegram."""
    for name, field in model.model_fields.items():
        key = f"{path}.{name}" if path else name
        if key == "strategies":
            for kind in KINDS:
                yield from every_key(strategy_model(kind), key)
            continue
        inner = [part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
        if {PaperConfig, NotifyConfig, TelegramConfig} & {*inner}:
            yield key
        elif inner:
            yield from every_key(inner[0], key)
        else:
            yield key


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def test_every_key_of_the_file_has_a_row_and_no_row_is_of_a_key_that_is_gone() -> None:
    assert dict.fromkeys(every_key(GridbotConfig)).keys() == KEYS.keys()
    assert all(rule.why for rule in KEYS.values())
    assert key_rule("paper.market.seed").applies is Applies.SUPERVISOR
    with pytest.raises(KeyError):
        key_rule("accounts.nothing")


def test_nothing_differs() -> None:
    plan = reload_plan(config(BTC), config(BTC))
    assert plan.is_empty
    assert plan.touched == []
    assert plan.in_force == config(BTC)


def test_strategies_change_come_go_and_are_replaced() -> None:
    old = config(BTC, ETH, {**BTC, "strat_id": "sol", "symbol": "SOLUSDT"})
    new = config({**BTC, "grid_step": 0.5, "caps": {"max_open_orders": 9}}, {**ETH, "shadow_mode": True},
                 {**BTC, "strat_id": "ltc", "symbol": "LTCUSDT"})  # fmt: skip
    plan = reload_plan(old, new)
    assert [(each.strategy, each.word) for each in plan.strategies] == [
        ("btc", Word.CHANGED), ("eth", Word.REPLACED), ("ltc", Word.ADDED), ("sol", Word.REMOVED)
    ]  # fmt: skip
    keys = {key.key: (key.before, key.after) for key in plan.strategies[0].keys}
    assert keys == {"strategies.grid_step": ("0.2", "0.5"), "strategies.caps.max_open_orders": ("200", "9")}
    assert (plan.touched, plan.accounts, plan.fleet) == (["alice"], (), ())
    assert plan.in_force == new


def test_a_strategy_that_moves_goes_from_the_one_account_and_comes_to_the_other() -> None:
    both = (ALICE, {**ALICE, "name": "carol"})
    plan = reload_plan(config(BTC, accounts=both), config({**BTC, "account": "carol"}, accounts=both))
    assert [(each.word, each.account) for each in plan.strategies] == [(Word.REMOVED, "alice"), (Word.ADDED, "carol")]
    assert plan.touched == ["alice", "carol"]


def test_accounts_come_and_go() -> None:
    plan = reload_plan(config(BTC), config({**BTC, "account": "bob"}, accounts=(BOB,)))
    assert (plan.names(Word.ADDED), plan.names(Word.REMOVED), plan.touched) == (["bob"], ["alice"], [])


def test_keys_and_environment_wait_for_the_account_and_are_not_shown() -> None:
    old = config(BTC, accounts=(ALICE, BOB))
    other = {**BOB, "api_secret": "secret-c", "environment": "demo", "order_entry": "http", "caps": {"max_notional": 5}}
    plan = reload_plan(old, config(BTC, accounts=({**ALICE, "balance": 7}, other)))
    alice, bob = plan.accounts
    assert [key.rule.applies for key in alice.keys] == [Applies.NEVER]
    assert {key.key for key in bob.needs_restart} == {
        "accounts.api_secret", "accounts.environment", "accounts.order_entry"
    }  # fmt: skip
    assert "secret" not in str([key.before + key.after for key in bob.keys])
    kept = plan.in_force.account("bob")
    assert (kept.environment, kept.api_secret.get_secret_value(), kept.order_entry) == ("testnet", "secret-b", "auto")
    assert str(kept.caps.max_notional) == "5"
    assert plan.in_force.account("alice").balance is None
    assert plan.after_restart["bob"].api_secret.get_secret_value() == "secret-c"
    assert plan.touched == ["bob"], "limits of an account count at once"


def test_on_a_host_of_a_fleet_a_limit_that_changes_counts_at_once_and_one_that_comes_or_goes_waits() -> None:
    def fleet(**changes: Any) -> dict[str, Any]:
        section: dict[str, Any] = {"caps": {"max_drawdown": 5}, "groups": {"night": {"caps": {"max_notional": 100}}}}
        return {"name": "f", "host": "h1", "dsn_file": "dsn", **section, **changes}

    old = config(BTC, fleet=fleet())
    new = config(
        BTC,
        fleet=fleet(
            caps={"max_drawdown": 9, "session_loss_limit": 7, "on_breach": "cancel"},
            groups={"night": {"caps": {"max_notional": 50}}, "day": {"caps": {"max_notional": 1}}},
        ),
    )
    plan = reload_plan(old, new)
    assert {change.key: change.rule.applies for change in plan.fleet} == {
        "fleet.caps.max_drawdown": Applies.LIVE,
        "fleet.caps.session_loss_limit": Applies.SUPERVISOR,
        "fleet.caps.on_breach": Applies.LIVE,
        "fleet.groups.night": Applies.LIVE,
        "fleet.groups.day": Applies.SUPERVISOR,
    }
    in_force = plan.in_force.fleet
    assert (str(in_force.caps.max_drawdown), in_force.caps.session_loss_limit) == ("9", None)
    assert {name: str(group.caps.max_notional) for name, group in in_force.groups.items()} == {"night": "50"}
    alone = reload_plan(
        config(BTC, fleet={"caps": {"max_drawdown": 5}}), config(BTC, fleet={"caps": {"max_drawdown": 9}})
    )
    assert str(alone.in_force.fleet.caps.max_drawdown) == "5", "without a fleet it waits"


def test_what_all_share_waits_for_the_supervisor_also_labels_that_caps_go_by() -> None:
    groups = {"groups": {"night": {"caps": {"max_notional": 100}}}}
    old = config(BTC, fleet=groups)
    new = config(BTC, accounts=({**ALICE, "groups": ["night"]},), fleet={**groups, "caps": {"max_drawdown": 5}},
                 order_sync_interval=10, storage={"lag_alert": 5}, paper={"dcp": True})  # fmt: skip
    plan = reload_plan(old, new)
    assert {key.key: key.rule.applies for key in plan.fleet} == dict.fromkeys(
        ("fleet.caps.max_drawdown", "order_sync_interval", "storage.lag_alert", "paper.dcp"), Applies.SUPERVISOR
    )
    assert plan.accounts[0].keys[0].rule.applies is Applies.SUPERVISOR
    assert plan.in_force == old
    free = reload_plan(config(BTC), config(BTC, accounts=({**ALICE, "groups": ["day"]},)))
    assert free.in_force.account("alice").groups == ("day",)
    assert reload_plan(old, config(BTC)).fleet[0].key == "fleet.groups.night"


def test_whether_the_page_may_act_counts_at_once_and_where_it_is_does_not() -> None:
    old, new = config(BTC), config(BTC, web={"allow_commands": True, "port": 9000})
    plan = reload_plan(old, new)
    assert {key.key: key.rule.applies for key in plan.fleet} == {
        "web.allow_commands": Applies.LIVE, "web.port": Applies.SUPERVISOR
    }  # fmt: skip
    assert (plan.in_force.web.allow_commands, plan.in_force.web.port) == (True, 8797)
    assert plan.touched == []


def test_messages_and_telegram_count_at_once_by_a_new_process_and_no_secret_of_theirs_is_told() -> None:
    old = config(BTC)
    address, token = "json://me:hidden-password@host/hidden-token-0001", "123456789:hidden-token-of-a-bot"
    new = config(
        BTC,
        notify={"routes": [{"name": "phone", "urls": [address]}], "ping_url": "https://host/hidden-token-0002"},
        telegram={"enabled": True, "token": token, "users": [{"id": 7, "role": "see"}]},
        web={"port": 1},
    )
    plan = reload_plan(old, new)
    assert {key.key: (key.after, key.rule.applies) for key in plan.fleet} == {
        "notify.routes": ("phone", Applies.BESIDE),
        "notify.ping_url": ("not shown", Applies.BESIDE),
        "telegram.enabled": ("True", Applies.BESIDE),
        "telegram.token": ("not shown", Applies.BESIDE),
        "telegram.users": ("7 see", Applies.BESIDE),
        "web.port": ("1", Applies.SUPERVISOR),
    }
    assert (plan.in_force.notify, plan.in_force.telegram) == (new.notify, new.telegram)
    assert plan.in_force.web == old.web
    assert plan.touched == []
    other = config(BTC, notify={"routes": [{"name": "phone", "urls": [address + "x"]}]})
    [key] = reload_plan(config(BTC, notify={"routes": [{"name": "phone", "urls": [address]}]}), other).fleet
    assert (key.before, key.after) == ("phone", "phone"), "another address: it is said that it is another one"
