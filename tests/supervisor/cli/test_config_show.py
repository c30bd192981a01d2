"""`gridbot-supervisor config show`: values in force, where each comes from, and no secret."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from gridbot.config.account_models import AccountCaps, StrategyCaps
from gridbot.config.fleet_models import FleetCaps
from supervisor.cli.main import cli
from supervisor.control.control_client import NotRunning
from supervisor.exit_codes import CommandError
from supervisor.status.config_sections import SWITCHED_OFF

TEXT = """\
allow_mainnet: true
environment: testnet
defaults:
  accounts:
    api_key: ${{ACCOUNT}_KEY}
    api_secret: ${SHARED}
    caps: {max_notional: 900}
templates:
  accounts:
    pair:
      groups: [night]
      strategies:
        btc: {symbol: BTCUSDT, grid_step: '${STEP}'}
accounts:
  - {name: a07, template: pair, caps: {max_drawdown: 5%}}
  - {name: b, testnet: true, template: pair}
strategies:
  - {strat_id: one, account: a07, symbol: ETHUSDT}
storage: {data_dir: here}
paper: {market: {instruments_from: 'https://x.org/?k=hush-hush-7'}}
"""
SECRETS = {"A07_KEY": "hush-hush-7", "SHARED": "hush-hush-8", "STEP": "0.3"}


@pytest.fixture(autouse=True)
def _a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f.yaml").write_text(TEXT)
    (tmp_path / "key").write_text("hush-hush-9\n")
    for name, value in {**SECRETS, "B_KEY_FILE": "key", "COLUMNS": "160"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GRIDBOT_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)


def shown(*words: str) -> Result:
    result = CliRunner().invoke(cli, ["config", "show", "-c", "f.yaml", *words])
    assert "hush" not in result.output
    return result


def sources(*words: str) -> dict[str, tuple[Any, ...]]:
    """Of each value: what it is, and from where."""
    sections = json.loads(shown("--json", *words).stdout)["sections"]
    return {
        f"{section['name']}:{value['key']}": (value["value"], value["kind"], value["line"], *value["variables"])
        for section in sections
        for value in section["values"]
    }


def test_each_value_says_where_it_comes_from() -> None:
    found = sources()
    expected = {
        "a07:name": ("a07", "own", 15),
        "a07:groups": (["night"], "template", 11),
        "a07:api_key": ("set", "defaults", 5, "environment variable A07_KEY"),
        "a07:api_secret": ("set", "defaults", 6, "environment variable SHARED"),
        "b:api_key": ("set", "defaults", 5, "the file key that B_KEY_FILE names"),
        "a07:environment": ("testnet", "root", 2),
        "b:environment": ("testnet", "own", 16),
        "a07:caps.max_notional": ("900", "defaults", 7),
        "a07:caps.max_drawdown": ("5%", "own", 15),
        "a07:caps.session_loss_limit": ("x0.25", "built-in", None),
        "a07/a07-btc:strat_id": ("a07-btc", "own", 15),
        "a07/a07-btc:grid_step": ("0.3", "template", 13, "environment variable STEP"),
        "a07/one:symbol": ("ETHUSDT", "own", 18),
        ":allow_mainnet": (True, "own", 1),
        ":paper.market.instruments_from": ("hidden: it has a secret in it", "own", 20),
        ":supervisor.restart.window": (600.0, "built-in", None),
    }
    assert {key: found[key] for key in expected} == expected
    text = shown("b").output
    assert re.search(r"caps\.max_drawdown +off", text), text
    takes_off = set()
    for model in (StrategyCaps, AccountCaps, FleetCaps):
        for name in model.model_fields:
            with contextlib.suppress(ValidationError):
                takes_off |= {name} if getattr(model.model_validate({name: "off"}), name) is None else set()
    assert takes_off == SWITCHED_OFF


def test_the_data_directory_of_the_command_line_and_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources()[":storage.data_dir"][1:] == ("own", 19)
    assert sources("--data-dir", "there")[":storage.data_dir"][1:] == ("override", None)
    monkeypatch.setenv("GRIDBOT_DATA_DIR", "/elsewhere")
    assert sources()[":storage.data_dir"] == ("/elsewhere", "override", None)
    assert "environment variable GRIDBOT_DATA_DIR" in shown().output


def test_targets_choose_and_set_leaves_out_what_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown("a07/a07-btc", "--set").output == (
        "strategy a07/a07-btc\n"
        "  grid_step  0.3      template pair, f.yaml:13, environment variable STEP\n"
        "  strat_id   a07-btc  the account that it stands below, f.yaml:15\n"
        "  account    a07      the account that it stands below, f.yaml:15\n"
        "  symbol     BTCUSDT  template pair, f.yaml:13\n"
    )
    assert {key.partition(":")[0] for key in sources("--group", "night")} == {
        "a07",
        "a07/a07-btc",
        "a07/one",
        "b",
        "b/b-btc",
    }
    monkeypatch.setenv("COLUMNS", "40")
    assert "\n      defaults, f.yaml:5, the file key that B_KEY_FILE names\n" in shown("b", "--set").output
    with pytest.raises(CommandError, match="'nobody'"):
        CliRunner().invoke(cli, ["config", "show", "-c", "f.yaml", "nobody"], catch_exceptions=False)


def test_a_file_that_is_refused_and_a_supervisor_that_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((CommandError, NotRunning), match="no supervisor runs in"):
        CliRunner().invoke(cli, ["config", "show", "-c", "f.yaml", "--running"], catch_exceptions=False)
    monkeypatch.delenv("STEP")
    with pytest.raises(
        (CommandError, NotRunning), match=r"templates\.accounts.pair\.strategies.btc\.grid_step: expected a value"
    ):
        CliRunner().invoke(cli, ["config", "show", "-c", "f.yaml"], catch_exceptions=False)


def test_of_a_host_of_a_fleet_it_says_where_accounts_are(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("fleet: {name: n, host: h1, dsn: 'host=localhost'}\n")
    assert shown().exit_code == 0
    refused = shown("alice")
    assert isinstance(refused.exception, CommandError)
    assert "whose accounts are in PostgreSQL" in refused.exception.text
    assert "fleet config show -c f.yaml" in refused.exception.text
