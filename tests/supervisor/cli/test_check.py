"""`gridbot-supervisor check`: ladders, totals, warnings, exit codes."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gridbot.command_line import pasteable
from supervisor.cli.check import check
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError

Run = Callable[..., Result]

PAPER = "environment: paper\naccounts: [{name: alice, balance: 1000}]\n"
LIVE = "accounts: [{name: alice, environment: testnet, api_key: key-sesame, api_secret: secret-sesame}]\n"


def _grid(symbol: str = "BTCUSDT", extra: str = "", name: str = "grid") -> str:
    more = f", {extra}" if extra else ""
    return f"  - {{strat_id: {name}, account: alice, symbol: {symbol}{more}}}\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Check a configuration text with options, in 200 columns; the data directory is inside the test's own."""
    path = tmp_path / "g.yaml"
    monkeypatch.setenv("COLUMNS", "200")

    def _run(text: str, *options: str) -> Result:
        path.write_text(text)
        result = CliRunner().invoke(check, ["-c", str(path), *options])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        return result

    return _run


def _json(result: Result) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_the_demo_can_start():
    result = CliRunner().invoke(check, [])
    assert result.exit_code == 0, result.output
    for name in ("alice/alice-btc", "alice/alice-eth", "bob/bob-sol", "bob/bob-ltc-shadow"):
        assert name in result.output
    assert "ok: 4 strategies can start" in result.output
    assert "warning" not in result.output


def test_an_account_that_the_configuration_does_not_have_any_more_is_named(run, tmp_path):
    """A renamed account or strategy was left behind without a word."""
    (tmp_path / "data" / "journal" / "zoe").mkdir(parents=True)
    result = run(PAPER + "strategies:\n" + _grid(), "--data-dir", str(tmp_path / "data"))
    assert result.exit_code == 0, "a name may be gone on purpose"
    assert "warning: account zoe: there are records and state of it" in " ".join(result.output.split())


def test_the_ladder_of_the_demo_level_by_level(run):
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 4, grid_step: 1, amount: 600")
    (report,) = _json(run(text, "--json"))["strategies"]
    rows = [(row["side"], row["price"], row["size"], row["notional"]) for row in report["levels"]]
    assert rows == [
        ("Sell", "61206.00", "0.010", "612.06000"),
        ("Sell", "60600.00", "0.010", "606.00000"),
        ("wait", "60000.00", None, None),
        ("Buy", "59400.00", "0.011", "653.40000"),
        ("Buy", "58806.00", "0.011", "646.86600"),
    ]
    assert report["totals"] == [
        {"direction": "long", "orders": 2, "size": "0.022", "notional": "1300.26600"},
        {"direction": "short", "orders": 2, "size": "0.020", "notional": "1218.06000"},
    ]
    assert report["price_source"] == "start of the paper market"


def test_the_table_shows_the_same(run):
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 4, grid_step: 1, amount: 600")
    output = run(text).output
    assert "+2  Sell   +2.010  61206.00  0.010    612.06" in output
    assert "long: 2 opening orders, 0.022 BTC, 1300.27 USDT, 1.30 of the wallet" in output


def test_sizes_by_fraction_follow_the_wallet(run):
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 4, grid_step: 1, amount: x0.6")
    sizes = [row["size"] for row in _json(run(text, "--json"))["strategies"][0]["levels"]]
    assert sizes == ["0.010", "0.010", None, "0.011", "0.011"]
    richer = _json(run(text, "--json", "--wallet", "alice=10000"))["strategies"][0]
    assert richer["levels"][0]["size"] == "0.099"


def test_levels_that_differ_from_what_was_asked_say_why(run):
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 4, grid_step: 1, amount: 20")
    assert "rounded up from 20.00 USDT to what the exchange takes" in run(text).output
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 4, grid_step: 1, amount: 600, max_margin: 1")
    reasons = [row["reason"] for row in _json(run(text, "--json"))["strategies"][0]["levels"]]
    withheld = "withheld by max_margin 1 when the nearer ones have filled"
    assert reasons == [withheld, "", "at the price: no order", "", withheld]


def test_without_a_price_the_ladder_is_relative_and_says_so(run):
    result = run(LIVE + "strategies:\n" + _grid("ABCUSDT", "grid_count: 4, grid_step: 1"))
    assert result.exit_code == 0
    assert "+2  Sell   +2.010" in result.output
    assert "--price ABCUSDT=PRICE" in result.output
    assert "give it a tick_size" in result.output
    assert "--wallet alice=USDT" in result.output


def test_a_given_price_builds_the_ladder_of_a_live_account(run):
    text = LIVE + "strategies:\n" + _grid("LTCUSDT", "grid_count: 4, grid_step: 1, amount: 100")
    document = _json(run(text, "--json", "--price", "LTCUSDT=100"))["strategies"][0]
    assert [row["price"] for row in document["levels"]] == ["102.01", "101.00", "100.00", "99.00", "98.01"]
    assert "the start takes the exchange's own" in document["notes"][0]


def test_a_tick_size_is_enough_for_symbols_that_do_not_ship(run):
    text = LIVE + "strategies:\n" + _grid("ABCUSDT", "tick_size: 0.5, grid_count: 4, grid_step: 1, amount: 100")
    document = _json(run(text, "--json", "--price", "ABCUSDT=100"))["strategies"][0]
    assert [row["price"] for row in document["levels"]] == ["102.0", "101.0", "100.0", "99.0", "98.0"]
    assert abs(Decimal(document["levels"][0]["notional"]) - 100) < Decimal("0.01")
    assert "sizes are not rounded" in document["notes"][0]


def test_an_impossible_ladder_at_the_given_price(run):
    text = LIVE + "strategies:\n" + _grid("LTCUSDT", "grid_step: 0.01")
    result = run(text, "--price", "LTCUSDT=44")
    assert result.exit_code == 4
    assert "error: LTCUSDT: expected 51 different levels around 44" in " ".join(result.output.split())
    assert _json(run(text, "--price", "LTCUSDT=44", "--json"))["ok"] is False


def test_configuration_errors_exit_with_4_and_all_problems(run):
    result = run("accounts: []\nnonsense: 1\n")
    assert result.exit_code == 4
    assert ":1: accounts: expected at least one account" in result.stderr
    assert ":2: nonsense: expected a known key" in result.stderr
    assert "2 problems; nothing can start with this file" in result.stderr
    as_json = run("accounts: []\nnonsense: 1\n", "--json")
    assert as_json.exit_code == 4
    assert [(p["line"], p["key"]) for p in _json(as_json)["problems"]] == [(1, "accounts"), (2, "nonsense")]


def test_secrets_are_not_printed(run):
    for options in ((), ("--json",)):
        assert "sesame" not in run(LIVE + "strategies:\n" + _grid(), *options).output


@pytest.mark.parametrize("option", ["BTCUSDT", "BTCUSDT=", "BTCUSDT=-1", "=5", "BTCUSDT=nan"])
def test_malformed_options_are_usage_errors(run, option):
    result = run(PAPER, "--price", option)
    assert result.exit_code == 2
    assert "expected SYMBOL=PRICE with a positive number" in result.output


def test_a_data_directory_that_cannot_be_written_is_refused(run, tmp_path):
    (tmp_path / "file").write_text("")
    result = run(PAPER, "--data-dir", str(tmp_path / "file" / "data"))
    assert result.exit_code == 7
    assert "is not a directory" in " ".join(result.output.split())


def test_checking_writes_nothing(run, tmp_path):
    assert run(PAPER, "--data-dir", str(tmp_path / "new" / "data")).exit_code == 0
    assert not (tmp_path / "new").exists()


def test_replay_files_must_be_there(run, tmp_path):
    text = PAPER + "paper: {market: {source: replay, files: {BTCUSDT: trades.csv}}}\n"
    result = run(text)
    assert result.exit_code == 7
    assert "replay of BTCUSDT: expected a readable file" in result.output
    (tmp_path / "trades.csv").write_text("")
    assert run(text).exit_code == 0


def test_a_file_of_instruments_must_be_there(run, tmp_path):
    text = PAPER + "paper: {market: {instruments_from: saved.json}}\n"
    result = run(text)
    assert result.exit_code == 7
    assert f"instruments_from: expected a readable file, got nothing at {tmp_path / 'saved.json'}" in result.output
    assert run(text.replace("saved.json", "'https://api.bybit.com'")).exit_code == 0


def test_a_port_in_use_is_a_warning(run):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(PAPER + f"paper: {{port: {port}}}")
    assert result.exit_code == 0
    assert f"warning: paper.port {port}: address already in use" in result.output


def test_names_that_the_file_does_not_have_are_usage_errors(run):
    for option, name in (("--price", "BTCUSD=1"), ("--wallet", "alic=1")):
        result = run(PAPER + "strategies:\n" + _grid(), option, name)
        assert result.exit_code == 2
        assert "did you mean" in result.output


def test_a_ladder_beyond_the_wallet_or_any_price_is_a_warning_that_the_last_line_counts(run):
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 200, grid_step: 5, amount: x0.5")
    lines = run(text).output.splitlines()
    assert any("of the price; expected a range a price may see" in line for line in lines)
    assert any("account alice: all opening orders together lock" in line for line in lines)
    assert lines[-1] == "ok: 1 strategy can start; 2 warnings above"
    assert "its wallet is 0 USDT; every order would be refused" in run(text.replace("1000", "0")).output


def test_balances_have_no_exponent(run):
    assert "wallet 10000 USDT" in run(PAPER.replace("1000", "1e4") + "strategies:\n" + _grid()).output


def test_sixty_columns_are_enough(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = PAPER + "strategies:\n" + _grid(extra="grid_count: 4, grid_step: 1, amount: 600, max_margin: 1")
    lines = run(text).output.splitlines()
    assert max(map(len, (line for line in lines if "/" not in line))) <= 60
    assert "      withheld by max_margin 1 when the nearer ones have" in lines


def test_one_wrong_word_is_one_problem(run):
    wrong = LIVE.replace(", environment: testnet", ", balance: 5") + "environment: testent\nstrategies:\n" + _grid()
    result = run(wrong.replace(", api_key: key-sesame, api_secret: secret-sesame", ""))
    assert result.exit_code == 4
    assert "got `testent`" in result.output
    assert result.output.splitlines()[-1] == "1 problem; nothing can start with this file"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [b", "brackets that is not closed"),
        ("a:\n\t- b", "a tab"),
        ('a: "b', "a quote that is not closed"),
        ("a: b: c", "a second colon"),
        ("a\nb: 1", "a second colon"),
        ("a: *b", "an alias `*name`"),
        ('a: "\\q"', "a backslash"),
        ("a: ]", "where a value belongs"),
        ("%a", "begins with %"),
        ("a: b\n---\na: c", "a second document"),
    ],
)
def test_what_is_no_yaml_is_said_in_our_words(run, text, said):
    assert said in run(text).output


@pytest.mark.parametrize(
    ("extra", "warning"),
    [
        ("caps: {max_notional: off}", "caps.max_notional is off"),
        ("caps: {max_open_orders: null}", "caps.max_open_orders is off"),
        ("caps: {max_orders_per_minute: null}", "caps.max_orders_per_minute is off"),
        ("caps: {max_open_orders: 20}", "caps.max_open_orders 20 is less than its 50 levels"),
        ("min_total_margin: 3", "min_total_margin 3 is far above the default 0.15"),
        ("grid_step: 0.03", "grid_step 0.03 % does not pay for two maker fees of 0.02 %"),
        ("leverage: 5", "max_margin 8 cannot be reached with leverage 5"),
        ("min_liq_ratio: 1.1", "min_liq_ratio 1.1 never acts"),
        ("max_liq_ratio: 0.9", "max_liq_ratio 0.9 never acts"),
    ],
)
def test_risky_settings_are_named(run, extra, warning):
    found = _json(run(PAPER + "strategies:\n" + _grid(extra=extra), "--json"))["warnings"]
    assert [line for line in found if warning in line], found


def test_a_cap_of_several_accounts_below_what_their_ladders_want_is_a_warning(run):
    """Of 50 levels, each is rounded up to 0.002 BTC."""
    two = "environment: paper\naccounts: [{name: a, groups: [g]}, {name: b, dead_man: dcp 30}]\nstrategies:\n"
    one = "amount: 100, grid_count: 50, grid_step: 0.2"
    grids = "".join(_grid(name=f"s{name}", extra=one).replace("alice", name) for name in "ab")
    said = "max_notional is {} USDT, the ladders of its accounts want"
    output = run(
        two + grids + "fleet: {caps: {max_notional: 5000}, groups: {g: {caps: {max_notional: 7000}}}}\n"
    ).output
    assert f"fleet/paper: {said.format(5000)} 1" in " ".join(output.split())
    assert "group g/paper" not in output
    assert "dead_man does nothing: the paper exchange has no disconnect-cancel-all" in " ".join(output.split())
    roomy = run(two + grids + "fleet: {caps: {max_notional: x2}}\npaper: {dcp: true}\n").output
    assert "max_notional" not in roomy
    assert "dead_man" not in roomy


def test_risky_accounts_are_named(run):
    real = LIVE.replace("testnet", "mainnet") + "allow_mainnet: true\nstrategies:\n" + _grid()
    assert "real money; strategies that send orders to mainnet: 1" in run(real).output
    assert "real money" not in run(real.replace("symbol: BTCUSDT", "symbol: BTCUSDT, shadow_mode: true")).output
    unlimited = "environment: paper\naccounts: [{name: alice, caps: {session_loss_limit: off}}]\n"
    output = run(unlimited + "paper: {host: 0.0.0.0}\n").output
    assert "session_loss_limit is off" in output
    assert "no strategy names it" in output
    assert "open to other machines" in output


def test_two_thousand_accounts_take_seconds(run):
    """They take 6 s of CPU (15 s are promised). Here an eighth of them: what grew with the square would not pass."""

    def cpu_of(count: int) -> float:
        accounts = ", ".join(f"{{name: a{number}}}" for number in range(count))
        grids = "".join(
            f"  - {{strat_id: s{n}, account: a{n}, symbol: BTCUSDT, grid_count: 40}}\n" for n in range(count)
        )
        before = time.process_time()
        result = run(f"environment: paper\naccounts: [{accounts}]\nstrategies:\n{grids}")
        assert f"ok: {count} strategies can start" in result.output
        return time.process_time() - before

    few, many = cpu_of(25), cpu_of(250)
    assert many < 5 * 15 * 250 / 2000
    assert many < 40 * few


def test_the_file_of_a_host_has_no_accounts(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    result = run("fleet: {name: night, host: h1, dsn: 'postgresql://u@127.0.0.1/x'}\n")
    assert result.exit_code == 0, result.output
    assert "host h1 of fleet night" in " ".join(result.output.split())
    assert f"`{pasteable('fleet config show', config=tmp_path / 'g.yaml')}`" in result.output, "to paste: on one line"
    assert "ok: the host can start" in result.output


@pytest.mark.parametrize("line", ["status", "spread", "move a h1", "config show"])
def test_without_the_client_of_postgresql_fleet_commands_say_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    for module in ("fleet_begin", "fleet_section", "host_store"):
        monkeypatch.setitem(sys.modules, f"supervisor.fleet.{module}", None)
    file = tmp_path / "host.yaml"
    file.write_text("fleet: {name: night, host: h1, dsn: 'postgresql://u@127.0.0.1/x'}\n")
    result = CliRunner().invoke(cli, ["fleet", *line.split(), "-c", str(file), "--data-dir", str(tmp_path)])
    assert isinstance(result.exception, CommandError)
    assert "-m pip install 'psycopg[binary]>=3.3,<4'` installs it" in str(result.exception)
