"""`defaults` and `templates`: what fifty short lines become, and what is said of each mistake, once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gridbot.config import layers
from gridbot.config.layers import layer_warnings
from gridbot.config.loading import load_config, load_file
from gridbot.config.models import GridbotConfig
from gridbot.config.snapshots import fleet_snapshot, snapshot_sha256
from gridbot.config.yaml_nodes import read_document
from supervisor.cli.known_fleet import configured_fleet

ROOT = Path(__file__).resolve().parents[2]
Refusal = Callable[..., list[str]]
FLEET = """\
environment: paper
defaults:
  accounts: {balance: 500, caps: {max_notional: 900, max_drawdown: 10%}}
  strategies: {grid_step: 0.3}
templates:
  accounts:
    pair:
      groups: [night, vip]
      caps: {max_drawdown: 20%}
      strategies:
        btc: {template: calm, symbol: BTCUSDT}
        eth: {template: calm, symbol: ETHUSDT, grid_step: 0.5}
    rich: {template: pair, balance: 9000}
  strategies:
    calm: {grid_count: 12, amount: x0.02, grid_step: 0.4}
    wide: {template: calm, grid_count: 20}
"""


def load(text: str, tmp_path: Path, **environ: str) -> GridbotConfig:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    return load_config(path, environ=environ)


def grids(config: GridbotConfig) -> dict[str, tuple[Any, ...]]:
    """What the strategies of a fleet are: symbol, levels, step, size."""
    dumped = [strategy.model_dump(mode="json") for strategy in config.strategies]
    return {
        f"{s['account']}/{s['strat_id']}": (s["symbol"], s["grid_count"], s["grid_step"], s["amount"]) for s in dumped
    }


def test_fifty_accounts_are_fifty_short_lines(tmp_path: Path) -> None:
    lines = "".join(f"  - {{name: a{number:02}, template: pair}}\n" for number in range(50))
    config = load(f"{FLEET}accounts:\n{lines}", tmp_path)
    assert len(grids(config)) == 100
    assert grids(config)["a49/a49-btc"] == ("BTCUSDT", 12, "0.4", "x0.02")
    assert grids(config)["a49/a49-eth"] == ("ETHUSDT", 12, "0.5", "x0.02")
    assert config.groups()["night"] == [f"a{number:02}" for number in range(50)]
    assert configured_fleet(tmp_path / "f.yaml", {})[7].strategies == ("a07-btc", "a07-eth")


@pytest.mark.parametrize(
    ("own", "drawdown", "notional", "balance", "groups"),
    [
        ("", "10%", "900", "500", ()),
        (", template: pair", "20%", "900", "500", ("night", "vip")),
        (", template: rich", "20%", "900", "9000", ("night", "vip")),
        (", template: [rich, pair]", "20%", "900", "9000", ("night", "vip")),
        (", template: null, caps: {max_notional: off}", "10%", "None", "500", ()),
        (", template: pair, balance: 1, groups: [day], caps: {max_drawdown: 5}", "5", "900", "1", ("day",)),
    ],
    ids=["defaults", "template", "template of a template", "several", "none", "own keys"],
)
def test_own_keys_win_over_templates_over_defaults(
    tmp_path: Path, own: str, drawdown: str, notional: str, balance: str, groups: tuple[str, ...]
) -> None:
    (account,) = load(f"{FLEET}accounts: [{{name: a{own}}}]\n", tmp_path).accounts
    caps = account.caps
    assert (str(caps.max_drawdown), str(caps.max_notional)) == (drawdown, notional)
    assert (str(account.balance), account.groups) == (balance, groups)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ("template: pair", {"a/a-btc": ("BTCUSDT", 12, "0.4", "x0.02"), "a/a-eth": ("ETHUSDT", 12, "0.5", "x0.02")}),
        (
            "template: pair, strategies: {eth: null, btc: {grid_step: 1}, sol: {symbol: SOLUSDT, strat_id: old_sol}}",
            {"a/a-btc": ("BTCUSDT", 12, "1", "x0.02"), "a/old_sol": ("SOLUSDT", 50, "0.3", "x0.001")},
        ),
        (
            "template: pair, strategies: {btc: {template: wide}, eth: null}",
            {"a/a-btc": ("BTCUSDT", 20, "0.4", "x0.02")},
        ),
        ("template: pair, strategies: null", {}),
        ("strategies: {x: {symbol: BTCUSDT}}", {"a/a-x": ("BTCUSDT", 50, "0.3", "x0.001")}),
    ],
    ids=["of the template", "changed, left out and added", "another template", "none", "without template"],
)
def test_strategies_may_stand_below_their_account(
    tmp_path: Path, own: str, expected: dict[str, tuple[Any, ...]]
) -> None:
    assert grids(load(f"{FLEET}accounts: [{{name: a, {own}}}]\n", tmp_path)) == expected


def test_strategies_of_the_root_have_templates_too_and_come_first(tmp_path: Path) -> None:
    root = "strategies: [{strat_id: one, account: a, symbol: SOLUSDT, template: wide, amount: 7}]\n"
    config = load(f"{FLEET}{root}accounts: [{{name: a, template: pair}}]\n", tmp_path)
    assert list(grids(config)) == ["a/one", "a/a-btc", "a/a-eth"]
    assert grids(config)["a/one"] == ("SOLUSDT", 20, "0.4", "7")


def test_keys_of_fifty_accounts_are_two_lines(tmp_path: Path) -> None:
    keys = '{api_key: "${{ACCOUNT}_API_KEY}", api_secret: "${BOT_{ACCOUNT}_SECRET}"}'
    text = f"defaults:\n  accounts: {keys}\naccounts: [{{name: a07}}, {{name: b-8, api_key: own}}]\n"
    environ = {"A07_API_KEY": "k7", "BOT_A07_SECRET": "s7", "BOT_B_8_SECRET": "s8-{account}"}
    accounts = load(text, tmp_path, **environ).accounts
    assert [a.api_key.get_secret_value() for a in accounts] == ["k7", "own"]
    assert [a.api_secret.get_secret_value() for a in accounts] == ["s7", "s8-{account}"], "values are no templates"


def test_a_template_may_name_the_strategies_as_an_older_file_did(tmp_path: Path) -> None:
    text = "templates: {accounts: {t: {strategies: {btc: {symbol: BTCUSDT, strat_id: 'grid_{account}'}}}}}\n"
    config = load(f"environment: paper\n{text}accounts: [{{name: a, template: t}}, {{name: b, template: t}}]", tmp_path)
    assert [strategy.strat_id for strategy in config.strategies] == ["grid_a", "grid_b"]


@pytest.mark.parametrize("spelling", ["environment: demo", "testnet: true"])
@pytest.mark.parametrize("own", ["testnet: true", "environment: testnet"])
def test_the_environment_has_two_spellings_and_is_one_key(tmp_path: Path, spelling: str, own: str) -> None:
    text = f"defaults: {{accounts: {{{spelling}}}}}\naccounts: [{{name: a, {own}, api_key: k, api_secret: s}}]"
    assert load(text, tmp_path).accounts[0].environment == "testnet"


def test_a_template_of_real_money_needs_the_permission(refusal: Refusal) -> None:
    (problem,) = refusal(
        "templates:\n  accounts:\n    t: {environment: mainnet, api_key: '${{ACCOUNT}_K}', api_secret: s}\n"
        "accounts:\n  - {name: a, template: t}\n  - {name: b, template: t}\n",
        A_K="k1",
        B_K="k2",
    )
    assert problem.startswith("3: templates.accounts.t.environment: expected `allow_mainnet: true` at the root")
    assert problem.endswith("(used by a and b)")


def test_an_error_inside_a_template_is_told_once_with_its_line_and_who_uses_it(refusal: Refusal) -> None:
    wrong = FLEET.replace("max_drawdown: 20%", "max_drawdown: lots").replace("grid_count: 12", "grid_cuont: 12")
    lines = "".join(f"  - {{name: a{number:02}, template: pair}}\n" for number in range(50))
    assert refusal(f"{wrong}accounts:\n{lines}") == [
        "9: templates.accounts.pair.caps.max_drawdown: expected USDT such as 500, a share of the peak such as 20%, or "
        "off, got `lots`; correct the value (used by a00, a01, a02 and 47 more)",
        "15: templates.strategies.calm.grid_cuont: expected a known key, got `grid_cuont`; did you mean `grid_count`? "
        "(used by a00/a00-btc, a00/a00-eth, a01/a01-btc and 97 more)",
    ]


def test_variables_that_are_missing_are_one_problem_of_their_line(refusal: Refusal) -> None:
    text = "defaults: {accounts: {api_key: '${{ACCOUNT}_KEY}', api_secret: '${SHARED}'}}\n"
    lines = "".join(f"  - {{name: a{number}}}\n" for number in range(6))
    assert refusal(f"{text}accounts:\n{lines}", A3_KEY="k") == [
        "1: defaults.accounts.api_key: expected a value in each of the environment variables A0_KEY, A1_KEY, "
        "A2_KEY and "
        "2 more, got no such variable; set them before starting: export A0_KEY=... and so on (or "
        "A0_KEY_FILE=/path/of/a/file) (used by a0, a1, a2 and 2 more)",
        "1: defaults.accounts.api_secret: expected a value in the environment variable SHARED, got no such variable; "
        "set it before starting: export SHARED=... (or SHARED_FILE=/path/of/a/file with the value) "
        "(used by a0, a1, a2 and 3 more)",
    ]


def test_a_secret_written_into_a_template_is_never_shown(refusal: Refusal) -> None:
    text = "templates: {accounts: {t: {api_key: {deep: hush-hush}, api_secret: hush-hush}}}\n"
    problems = refusal(f"{text}accounts: [{{name: a, template: t}}, {{name: b, template: t, api_key: '${{B C}}'}}]")
    assert len(problems) == 2
    assert "hush" not in str(problems)


A = "accounts: [{name: a, environment: paper, template: T}]\n"
MISTAKES = {
    "unknown": (
        A.replace("T}", "pare}") + "templates: {accounts: {pair: {}}}",
        "1: accounts[0].template: expected the name of a template for accounts (pair), got `pare`; did you "
        "mean `pair`?",
    ),
    "none there": (
        A,
        "1: accounts[0].template: expected the name of a template for accounts (there is none), got `T`; "
        "correct the name, or add it below `templates.accounts`",
    ),
    "wrong kind": (
        A + "templates: {strategies: {T: {}}}",
        "1: accounts[0].template: expected the name of a template for accounts (there is none), got `T`, a "
        "template for "
        "strategies; name one of `templates.accounts`, or move it there",
    ),
    "circle": (
        A + "templates:\n  accounts:\n    T: {template: U}\n    U: {template: [V, T]}\n    V: {}\n",
        "5: templates.accounts.U.template: expected templates that do not lead back to themselves, got T -> U -> T; "
        "remove one `template:` of the circle",
    ),
    "itself": (
        A + "templates:\n  accounts:\n    T: {template: T}\n",
        "4: templates.accounts.T.template: expected templates that do not lead back to themselves, got T -> T; "
        "remove one `template:` of the circle",
    ),
    "no name": (
        A.replace("T}", "{x: 1}}"),
        "1: accounts[0].template: expected the name of a template, or a list of names, got something else; "
        "write its name",
    ),
    "without a kind": (
        A.replace(", template: T", "") + "templates: {T: {}}",
        "2: templates.T: expected accounts or strategies, got `T`; put it below `templates.accounts` or "
        "`templates.strategies`",
    ),
    "no mapping": (
        A.replace(", template: T", "") + "templates: [T]\ndefaults: {accounts: x}",
        "2: templates: expected `accounts:` and `strategies:`, got something else; indent them below this key\n"
        "3: defaults.accounts: expected keys with values, got something else; indent them below this key",
    ),
    "no keys": (
        A.replace(", template: T", "") + "templates: {accounts: {T: x}}",
        "2: templates.accounts.T: expected keys with values, got something else; indent its keys below its name",
    ),
    "a name": (
        A + "templates: {accounts: {T: {name: b}}}",
        "2: templates.accounts.T.name: expected no name here, got one; remove it: each account has its own; {account} "
        "in a value stands for it",
    ),
    "another account": (
        A + "templates: {accounts: {T: {strategies: {s: {symbol: BTCUSDT, account: b}}}}}",
        "2: templates.accounts.T.strategies.s.account: expected no account here, got one; remove it: the strategy "
        "belongs to the account that it stands below",
    ),
    "strategies as a list": (
        A + "templates: {accounts: {T: {strategies: [{symbol: BTCUSDT}]}}}",
        "2: templates.accounts.T.strategies: expected strategies by name, such as `btc: {symbol: BTCUSDT}`, got "
        "something else; indent them below this key",
    ),
    "a strategy as a text": (
        A + "templates: {accounts: {T: {strategies: {s: BTCUSDT}}}}",
        "2: templates.accounts.T.strategies.s: expected the keys of a strategy, got something else; write "
        "them indented "
        "below this line, or null for an account without it",
    ),
    "no symbol": (
        A + "templates:\n  accounts:\n    T:\n      strategies:\n        s: {grid_count: 12}",
        "6: templates.accounts.T.strategies.s.symbol: expected a value, got nothing; add `symbol:` here "
        "(used by a/a-s)",
    ),
    "one symbol twice": (
        A + "templates: {accounts: {T: {strategies: {s: {symbol: BTCUSDT}}}}}\n"
        "strategies:\n  - {strat_id: x, account: a, symbol: BTCUSDT}",
        "2: templates.accounts.T.strategies.s.symbol: expected one strategy per account and symbol, got `BTCUSDT` as "
        "strategies[0]; use another account: the two would share one position (used by a/a-s)",
    ),
    "one id twice": (
        "environment: paper\naccounts:\n  - {name: a, template: T}\n  - {name: b, template: T}\n"
        "templates: {accounts: {T: {strategies: {s: {symbol: BTCUSDT, strat_id: x}}}}}",
        "5: templates.accounts.T.strategies.s.strat_id: expected a strat_id no other strategy has, got `x` as "
        "accounts[0].strategies.s; choose another: orders and saved grids belong to it (used by b/x)",
    ),
    "a name that is too long": (
        A.replace("name: a", f"name: {'a' * 30}")
        + "templates: {accounts: {T: {strategies: {btc: {symbol: BTCUSDT}}}}}",
        f"1: accounts[0].strategies.btc.strat_id: expected 1 to 32 letters, digits, _ or -, the first a "
        f"letter or digit, "
        f"got `{'a' * 30}-btc`; choose such a name: it becomes a directory",
    ),
    "in a template that nobody uses": (
        A.replace(", template: T", "")
        + """
templates:
  accounts:
    T: {environment: demo, api_key: '${GONE}', balance: '${GONE}', capz: 1, strategies: {s: {grid_cuont: 2}}}
    U: {template: [V, T]}
    V: {template: U}
  strategies: {W: {grid_step: '-1', grid_count: '${GONE}'}, X: {template: Y}}""",
        "5: templates.accounts.T.capz: expected a known key, got `capz`; did you mean `caps`?\n"
        "5: templates.accounts.T.strategies.s.grid_cuont: expected a known key, got `grid_cuont`; "
        "did you mean `grid_count`?\n"
        "7: templates.accounts.V.template: expected templates that do not lead back to themselves, got U -> V -> U; "
        "remove one `template:` of the circle\n"
        "8: templates.strategies.W.grid_step: expected a number more than 0, got `-1`; correct the value\n"
        "8: templates.strategies.X.template: expected the name of a template for strategies (W, X), got `Y`; correct "
        "the name, or add it below `templates.strategies`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_has_a_sentence(refusal: Refusal, mistake: str) -> None:
    text, said = MISTAKES[mistake]
    assert refusal(text) == said.splitlines()


def test_a_file_that_would_become_too_large_is_refused(refusal: Refusal, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a hundredth of what is allowed, which would take seconds."""
    monkeypatch.setattr(layers, "MOST_VALUES", 4000)
    accounts = ", ".join(f"{{name: a{number}}}" for number in range(5))
    text = f"defaults: {{accounts: {{groups: [{'g, ' * 1000}]}}}}\nenvironment: paper\naccounts: [{accounts}]"
    assert refusal(text) == [
        "1: defaults.accounts.groups: expected defaults and templates that write out at most 4,000 values, got more; "
        "make them smaller, or use several files"
    ]


VALUE = "aVeryLongValueOfAVariable"
BTC = "strategies: {btc: {symbol: BTCUSDT}}"
HIDDEN_MISTAKES = {
    "a default that every entry overrides": (
        "defaults: {accounts: {caps: {max_notional: zz}}, strategies: {grid_count: x}}\n"
        "accounts: [{name: a, caps: {max_notional: x2}, strategies: {btc: {symbol: BTCUSDT, grid_count: 10}}}]\n",
        ["defaults.accounts.caps.max_notional", "defaults.strategies.grid_count"],
    ),
    "a value of a template that its only user overrides": (
        "templates: {strategies: {t: {grid_count: x}}}\n"
        "accounts: [{name: a, strategies: {btc: {symbol: BTCUSDT, grid_count: 10, template: t}}}]\n",
        ["templates.strategies.t.grid_count"],
    ),
    "a wrong value of one account beside a missing one of another": (
        "defaults: {accounts: {balance: '${BAL_{ACCOUNT}}'}}\n"
        f"accounts: [{{name: a, {BTC}}}, {{name: b, {BTC}}}]\n",
        ["defaults.accounts.balance", "defaults.accounts.balance"],
    ),
    "a variable in the place of a template's name": (
        f"accounts: [{{name: a, template: '${{LONG}}', {BTC}}}]\n", ["accounts[0].template"],
    ),
    "a variable in the place of an account's name": (
        f"accounts: [{{name: 'a ${{LONG}}', {BTC}}}]\n",
        ["accounts[0].name", "accounts[0].strategies.btc.account", "accounts[0].strategies.btc.strat_id"],
    ),
    "a variable in the place of the account that a strategy is of": (
        "accounts: [{name: a}]\nstrategies: [{strat_id: s, account: '${LONG}', symbol: BTCUSDT}]\n",
        ["strategies[0].account"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", HIDDEN_MISTAKES)
def test_no_other_value_hides_a_mistake_and_no_value_of_a_variable_is_shown(refusal: Refusal, mistake: str) -> None:
    text, places = HIDDEN_MISTAKES[mistake]
    said = refusal(f"environment: paper\n{text}", BAL_A="wrong", LONG=VALUE)
    assert [line.split(": ")[1] for line in said] == places, said
    assert VALUE not in "".join(said)
    assert all("${LONG}" in line for line in said) is ("LONG" in text)


def test_unused_templates_are_named(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(f"{FLEET}accounts: [{{name: a, template: pair}}]\n")
    written = load_file(tmp_path / "f.yaml", environ={}).written
    assert written.unused == [("accounts", "rich"), ("strategies", "wide")]
    assert list(layer_warnings(written)) == [
        "template rich (line 13): no entry of `accounts` uses it",
        "template wide (line 16): no entry of `strategies` uses it",
    ]


def test_the_example_is_fifty_accounts_and_the_guide_says_what_its_file_means(tmp_path: Path) -> None:
    fleet = load_file(ROOT / "conf" / "fleet.yaml", environ={})
    assert fleet.written.unused == []
    assert len(fleet.config.accounts) == 50
    assert len(grids(fleet.config)) == 64
    assert grids(fleet.config)["a12/a12-btc"] == ("BTCUSDT", 20, "0.2", "x0.08")
    guide = (ROOT / "docs" / "templates.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    keys = {
        f"GRIDBOT_A{number}_{part}": f"{part}{number}"
        for number in ("07", "08", "09", "10")
        for part in ("KEY", "SECRET")
    }
    config = load(guide, tmp_path, **keys)
    assert config.account("a07").api_key.get_secret_value() == "KEY07"
    assert config.groups() == {"calm": ["a07", "a09", "a10"], "night": ["a08"]}
    narrow = ("BTCUSDT", 20, "0.2", "x0.02")
    assert grids(config) == {
        "a07/a07-btc": narrow,
        "a08/a08-btc": narrow,
        "a09/a09-btc": (*narrow[:3], "x0.03"),
        "a10/a10-eth": ("ETHUSDT", 50, "0.2", "x0.02"),
    }


@pytest.mark.parametrize("file", ["demo.yaml", "gridbot.yaml.example"])
def test_a_file_without_layers_has_the_configuration_and_digest_of_its_text(file: str) -> None:
    """Data directories of the time before there were layers know the digest."""
    environ = {f"{name}_API_{part}": f"{name}{part}" for name in ("ALICE", "BOB") for part in ("KEY", "SECRET")}
    path = ROOT / "conf" / file
    plain = GridbotConfig.model_validate(read_document(path.read_text(), environ).data)
    loaded = load_config(path, environ=environ)
    assert snapshot_sha256(fleet_snapshot(loaded)) == snapshot_sha256(fleet_snapshot(plain))
