"""Loading a configuration: what is accepted, where paths lead, what a run records of it."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from gridbot.config.account_models import AccountConfig, StrategyConfig
from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.paths import find_config
from gridbot.config.reference import reference
from gridbot.config.snapshots import account_snapshot, snapshot_sha256
from gridbot.config.strategy_kinds import strategy_config, strategy_model
from gridbot.core.limits import Limit
from gridbot.exchange.environment import Environment
from gridbot.strategies.grid import GridKeys

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "conf" / "gridbot.yaml.example"
EXAMPLE_KEYS = {
    "ALICE_API_KEY": "alice-key-1",
    "ALICE_API_SECRET": "alice-secret-1",
    "BOB_API_KEY": "bob-key-1",
    "BOB_API_SECRET": "bob-secret-1",
}
Write = Callable[[str], Path]

ALICE = "accounts: [{name: alice, environment: paper}]\n"
KEYS = "api_key: the-key-of-x, api_secret: the-secret-of-x"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(text: str) -> Path:
        path = tmp_path / "gridbot.yaml"
        path.write_text(text)
        return path

    return _write


def _load(path: Path, **environ: str) -> GridbotConfig:
    return load_config(path, environ=environ)


def test_the_demo_needs_nothing(tmp_path):
    config = load_config(ROOT / "conf" / "demo.yaml", environ={})
    assert [(a.name, a.environment) for a in config.accounts] == [("alice", "paper"), ("bob", "paper")]
    assert [(s.account, s.symbol, s.shadow_mode) for s in config.strategies] == [
        ("alice", "BTCUSDT", False),
        ("alice", "ETHUSDT", False),
        ("bob", "SOLUSDT", False),
        ("bob", "LTCUSDT", True),
    ]
    assert config.storage.data_dir == ROOT / "data"


def test_accounts_have_labels(write: Write) -> None:
    names = ["{name: a, groups: [vip, night]}", "{name: b}", "{name: c, groups: [0010, night]}", "{name: d}"]
    config = _load(write(f"environment: paper\naccounts: [{', '.join(names)}]"))
    assert [account.groups for account in config.accounts] == [("vip", "night"), (), ("0010", "night"), ()]
    assert config.groups() == {"vip": ["a"], "night": ["a", "c"], "0010": ["c"]}


def test_caps_of_several_accounts_hold_for_each_environment_by_itself(write: Write) -> None:
    names = ["{name: a, groups: [vip]}", "{name: b}", "{name: c, environment: testnet, api_key: k, api_secret: s}"]
    fleet = "fleet: {caps: {max_notional: 900}, groups: {vip: {caps: {max_drawdown: 20 %, on_breach: flatten}}}}"
    config = _load(write(f"environment: paper\naccounts: [{', '.join(names)}]\n{fleet}"))
    scopes = {name: (caps.on_breach, accounts) for name, (caps, accounts) in config.cap_scopes().items()}
    assert scopes == {
        "fleet/paper": ("reduce", ["a", "b"]),
        "fleet/testnet": ("reduce", ["c"]),
        "group vip/paper": ("flatten", ["a"]),
    }
    assert str(config.cap_scopes()["group vip/paper"][0].max_drawdown) == "20%"


def test_what_cancels_when_the_machine_is_gone_is_off_unless_it_is_named(write: Write) -> None:
    config = _load(
        write("environment: paper\naccounts: [{name: a}, {name: b, dead_man: DCP  30}, {name: c, dead_man: off}]")
    )
    assert [str(account.dead_man) for account in config.accounts] == ["None", "dcp 30", "None"]


def test_numbers_of_money_are_exact(write):
    path = write(ALICE + "strategies: [{strat_id: s, account: alice, symbol: BTCUSDT, grid_step: 0.1, amount: 100}]")
    (strategy,) = _load(path).strategies
    assert isinstance(strategy, GridKeys)
    assert strategy.grid_step == Decimal("0.1")
    assert strategy.amount == "100"


def test_words_that_yaml_would_make_something_else_of_stay_words(write):
    path = write(
        "environment: paper\naccounts: [{name: no}, {name: 0010}]\n"
        "strategies: [{strat_id: 1e3, account: 0010, symbol: BTCUSDT, shadow_mode: yes}]"
    )
    config = _load(path)
    assert [account.name for account in config.accounts] == ["no", "0010"]
    assert config.strategies[0].strat_id == "1e3"
    assert config.strategies[0].shadow_mode is True


@pytest.mark.parametrize(
    ("root", "account", "meant"),
    [
        ("", "testnet: true", Environment.TESTNET),
        ("", "environment: demo", Environment.DEMO),
        ("", "", Environment.TESTNET),
        ("allow_mainnet: true", "testnet: false", Environment.MAINNET),
        ("allow_mainnet: true", "environment: mainnet, testnet: false", Environment.MAINNET),
        ("environment: paper", "", Environment.PAPER),
        ("environment: paper", "testnet: true", Environment.TESTNET),
        ("environment: paper", "environment: demo", Environment.DEMO),
        ("testnet: true", "", Environment.TESTNET),
    ],
)
def test_the_environment_and_its_older_spelling(write, root, account, meant):
    extra = f", {account}" if account else ""
    config = _load(write(f"{root}\naccounts: [{{name: x, {KEYS}{extra}}}]"))
    assert config.accounts[0].environment is meant


def test_paper_accounts_get_keys_of_their_own(write):
    config = _load(write("environment: paper\naccounts: [{name: alice}, {name: bob}]"))
    assert config.accounts[0].api_key.get_secret_value() == "paper-alice"
    assert [account.api_secret.get_secret_value() for account in config.accounts] == [
        "",
        "",
    ]  # `paper_secrets` has them


def test_going_live_changes_one_line(write):
    text = f"accounts:\n  - name: alice\n    environment: WHERE\n    {KEYS.replace(', ', chr(10) + '    ')}\n"
    for where in ("paper", "testnet", "demo"):
        assert _load(write(text.replace("WHERE", where))).accounts[0].environment == where


def test_variables_are_replaced_after_parsing(write):
    path = write(
        "# ${NOT_SET} in a comment is a comment\n"
        "accounts: [{name: x, api_key: '${KEY}', api_secret: 'a-${PART}-z'}]  # ${NOR_THIS}\n"
    )
    config = _load(path, KEY="k:[not-yaml", PART="middle")
    assert config.accounts[0].api_key.get_secret_value() == "k:[not-yaml"
    assert config.accounts[0].api_secret.get_secret_value() == "a-middle-z"


def test_a_variable_may_come_from_a_file(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("mounted\n")
    path = write("accounts: [{name: x, api_key: '${KEY}', api_secret: '${SECRET}'}]")
    config = _load(path, KEY="k", SECRET_FILE=str(secret))
    assert config.accounts[0].api_secret.get_secret_value() == "mounted"


def test_anchors_and_merge_keys(write):
    path = write(
        "environment: paper\naccounts: [{name: a}, {name: b}]\nstrategies:\n"
        "  - &base {strat_id: one, account: a, symbol: BTCUSDT, grid_count: 30}\n"
        "  - {<<: *base, strat_id: two, account: b}\n"
    )
    second = _load(path).strategies[1]
    assert isinstance(second, GridKeys)
    assert (second.strat_id, second.account, second.symbol, second.grid_count) == ("two", "b", "BTCUSDT", 30)


def nested(first, each, depth=9):
    """Anchors of which each names the one before it nine times: 400 million values from 300 characters."""
    levels = [f"a0: &a0 {first}"]
    levels += [f"a{n}: &a{n} " + each.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, depth)]
    return "\n".join(levels)


@pytest.mark.parametrize(
    "text",
    [
        nested("[x, x]", "[{}]"),
        nested("{k: v}", "{{<<: [{}], z: 1}}"),
        f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 1000)}]",
    ],
)
def test_aliases_that_multiply_are_refused_at_once(write, text):
    with pytest.raises(ConfigError, match=r"expected aliases and merges that repeat at most 200,000 values"):
        _load(write(text))


def test_a_file_beyond_all_reason_is_refused_before_it_is_parsed(write):
    """Thirty megabytes of one text, or four of anchors, took minutes."""
    for text in ("a: " + "x" * 30_000_000, "\n".join(f"k{n}: &n{n} v" for n in range(200_000))):
        with pytest.raises(ConfigError, match="expected at most 1,048,576 bytes, got more"):
            _load(write(text))


def test_a_fleet_of_merges_is_no_bomb(write):
    accounts = "\n".join(f"  - {{name: a{n}}}" for n in range(500))
    merged = "\n".join(f"  - {{<<: *base, strat_id: s{n}, account: a{n}}}" for n in range(1, 500))
    base = "&base {strat_id: s0, account: a0, symbol: BTCUSDT, grid_count: 30}"
    config = _load(write(f"environment: paper\naccounts:\n{accounts}\nstrategies:\n  - {base}\n{merged}\n"))
    assert len(config.strategies) == 500


@pytest.mark.parametrize(
    ("text", "limit"),
    [("20000", Limit(Decimal(20000))), ("x10", Limit(Decimal(10), of_wallet=True)), ("off", None), ("null", None)],
)
def test_caps_in_usdt_or_wallets_or_off(write, text, limit):
    strategy = f"{{strat_id: s, account: alice, symbol: BTCUSDT, caps: {{max_notional: {text}}}}}"
    config = _load(write(ALICE + f"strategies: [{strategy}]"))
    assert config.strategies[0].caps.max_notional == limit


def test_caps_are_on_by_default():
    strategy = StrategyConfig(strat_id="s", account="a", symbol="BTCUSDT")
    assert str(strategy.caps.max_notional) == "x10"
    assert (strategy.caps.max_open_orders, strategy.caps.max_orders_per_minute) == (200, 600)
    account = AccountConfig(name="a", environment=Environment.PAPER)
    assert str(account.caps.session_loss_limit) == "x0.25"


@pytest.mark.parametrize(
    ("place", "home"),
    [("conf/gridbot.yaml", "data"), ("gridbot.yaml", "data"), ("deep/conf/x.yaml", "deep/data")],
)
def test_a_relative_data_dir_is_meant_from_the_directory_that_holds_conf(tmp_path, monkeypatch, place, home):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(ALICE)
    monkeypatch.chdir("/")
    assert _load(path).storage.data_dir == tmp_path / home


def test_the_data_dir_can_be_moved(write, tmp_path):
    path = write(ALICE + "storage: {data_dir: in-file}")
    assert _load(path).storage.data_dir == tmp_path / "in-file"
    assert _load(path, GRIDBOT_DATA_DIR="/env").storage.data_dir == Path("/env")
    chosen = load_config(path, environ={"GRIDBOT_DATA_DIR": "/env"}, data_dir="/option")
    assert chosen.storage.data_dir == Path("/option")


def test_replay_files_are_meant_from_the_same_place(write, tmp_path):
    path = write(ALICE + "paper: {market: {source: replay, files: {BTCUSDT: trades/a.csv}}}")
    assert _load(path).paper.market.files == {"BTCUSDT": tmp_path / "trades" / "a.csv"}


def test_the_state_of_the_paper_exchange_moves_with_the_data(write, tmp_path):
    path = write(ALICE + "paper: {state_file: paper.json}")
    assert _load(path).paper.state_file == tmp_path / "data" / "paper.json"
    assert load_config(path, environ={}, data_dir="/option").paper.state_file == Path("/option/paper.json")


def test_which_file_is_used(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert find_config("mine.yaml", environ={"GRIDBOT_CONFIG_PATH": "other.yaml"}) == Path("mine.yaml")
    assert find_config(None, environ={"GRIDBOT_CONFIG_PATH": "other.yaml"}) == Path("other.yaml")
    assert find_config(None, environ={}) == ROOT / "conf" / "demo.yaml"


def test_secrets_never_print_and_are_known_to_the_redaction(write):
    config = _load(write(f"accounts: [{{name: x, {KEYS}}}]"))
    dumped = json.dumps(config.model_dump(mode="json")) + config.model_dump_json()
    for text in (repr(config), str(config), str(config.accounts[0]), dumped, repr(config.model_dump())):
        assert "the-key-of-x" not in text
        assert "the-secret-of-x" not in text
    assert set(config.secrets()) == {"the-key-of-x", "the-secret-of-x"}


def test_a_configuration_travels_to_a_spawned_process(write):
    config = _load(write(f"accounts: [{{name: x, {KEYS}}}]"))
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_run_records_its_configuration_without_secrets(write):
    text = f"accounts: [{{name: x, {KEYS}}}, {{name: y, environment: paper}}]\n"
    text += "strategies: [{strat_id: s, account: x, symbol: BTCUSDT, grid_step: STEP}]"
    first = account_snapshot(_load(write(text.replace("STEP", "0.2"))), "x")
    assert "the-" not in json.dumps(first)
    assert first["account"]["name"] == "x"
    assert [strategy["strat_id"] for strategy in first["strategies"]] == ["s"]
    again = account_snapshot(_load(write(text.replace("STEP", "0.2"))), "x")
    other = account_snapshot(_load(write(text.replace("STEP", "0.3"))), "x")
    assert snapshot_sha256(first) == snapshot_sha256(again) != snapshot_sha256(other)


def test_the_hash_does_not_depend_on_where_files_lie(write):
    path = write(ALICE)
    hashes = {
        snapshot_sha256(account_snapshot(load_config(path, environ={}, data_dir=place), "alice"))
        for place in ("/a", "/b")
    }
    assert len(hashes) == 1


def test_the_example_loads_and_shows_the_defaults():
    config = load_config(EXAMPLE, environ=EXAMPLE_KEYS)
    assert [account.environment for account in config.accounts] == ["testnet", "mainnet"]
    plain = GridbotConfig(accounts=config.accounts, strategies=config.strategies)
    assert config.fleet.caps == plain.fleet.caps
    assert config.cap_scopes() == {}
    for section in ("supervisor", "logging"):
        assert getattr(config, section) == getattr(plain, section), section
    full = strategy_config({"strat_id": "alice-ltc", "account": "alice", "symbol": "LTCUSDT", "tick_size": "0.01"})
    assert config.strategies[0] == full
    paper = config.paper.model_copy(update={"market": plain.paper.market})
    assert paper == plain.paper
    assert config.accounts[0].caps == AccountConfig(name="a", environment=Environment.PAPER).caps


def _keys(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Every key of a model, as `section.key`, models within lists and mappings included."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(prefix + name)
        for inner in _models(field.annotation):
            inner = strategy_model("grid") if inner is StrategyConfig else inner
            found |= _keys(inner, f"{prefix}{name}.")
    return found


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


def _written(data: Any, prefix: str = "") -> set[str]:
    """Every key of a document, in the same spelling; the names of symbols and groups stand for none."""
    if isinstance(data, list):
        return set().union(*(_written(item, prefix) for item in data)) if data else set()
    found: set[str] = set()
    for key, value in data.items() if isinstance(data, dict) else ():
        step = "" if key.isupper() or key == "night" else f"{key}."
        found |= ({prefix + key} if step else set()) | _written(value, prefix + step)
    return found


def test_the_example_has_every_key_and_a_comment_on_each():
    text = EXAMPLE.read_text()
    # A list that is empty by default shows the keys of its entries in comments.
    shown = {f"paper.faults.{name}" for name in re.findall(r"^  #  [ -] (\w+):", text, re.MULTILINE)}
    shown |= {f"paper.market.symbols.moves.{name}" for name in re.findall(r"^ {8}#  [ -] (\w+):", text, re.MULTILINE)}
    shown |= {f"paper.keys.{name}" for name in re.findall(r"^ {4}#    (\w+):", text, re.MULTILINE)}
    shown |= {f"notify.routes.{name}" for name in re.findall(r"^ {4}# [ -] (\w+):", text, re.MULTILINE)}
    shown |= {f"telegram.users.{name}" for name in re.findall(r"^ {6}# [ -] (\w+):", text, re.MULTILINE)}
    fleet = text.partition("\nfleet:\n")[2].partition("\nstrategies:\n")[0]
    shown |= {f"fleet.{name}" for name in re.findall(r"^  # (\w+): ", fleet, re.MULTILINE)}
    shown |= {f"fleet.keys.{name}" for name in re.findall(r"^  #     (\w+): ", fleet, re.MULTILINE)}
    document = _written(yaml.safe_load(text)) | shown
    assert document - {"accounts.testnet"} == _keys(GridbotConfig)
    assert all(field.description for model in _every_model(GridbotConfig) for field in model.model_fields.values())


def _every_model(model: type[BaseModel]) -> list[type[BaseModel]]:
    if model is StrategyConfig:
        model = strategy_model("grid")
    inner = [
        deep
        for field in model.model_fields.values()
        for near in _models(field.annotation)
        for deep in _every_model(near)
    ]
    return [model, *inner]


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "nothing.yaml", environ=os.environ)
    assert str(caught.value) == (
        f"{tmp_path}/nothing.yaml: the file: expected a readable configuration file, got No such file or directory; "
        "name one with -c or GRIDBOT_CONFIG_PATH"
    )


def test_the_reference_is_what_the_models_say():
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert page == reference(), "run: python -m gridbot.config.reference > docs/configuration.md"
