"""What is refused, and in which words: all problems of a file at once, each with its line and what to do."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from tests.examples import examples

Refusal = Callable[..., list[str]]

KEYS = "api_key: the-key-of-x, api_secret: the-secret-of-x"
ALICE = "accounts: [{name: alice, environment: paper}]\n"
GRID = "strat_id: s, account: alice, symbol: BTCUSDT"


def _strategy(extra: str) -> str:
    return ALICE + f"strategies:\n  - {{{GRID}}}\n  - {{strat_id: t, account: alice, symbol: ETHUSDT, {extra}}}"


def test_every_problem_of_a_file_is_told_at_once(refusal):
    problems = refusal(
        "enviroment: paper\n"
        "accounts:\n"
        "  - name: alice\n"
        "    api_key: ${ALICE_KEY}\n"
        "    api_secret: s\n"
        "  - {name: bob, environment: mainnet, api_key: k, api_secret: s}\n"
        "strategies:\n"
        "  - strat_id: one\n"
        "    account: alise\n"
        "    symbol: BTCUSDT\n"
        "    grid_cuont: 40\n"
        "    grid_step: -1\n"
        "  - {strat_id: one, account: bob, symbol: btc, amount: 12z}\n"
    )
    assert [problem.split(": ")[:2] for problem in problems] == [
        ["1", "enviroment"],
        ["4", "accounts[0].api_key"],
        ["6", "accounts[1].environment"],
        ["9", "strategies[0].account"],
        ["11", "strategies[0].grid_cuont"],
        ["12", "strategies[0].grid_step"],
        ["13", "strategies[1].amount"],
        ["13", "strategies[1].strat_id"],
        ["13", "strategies[1].symbol"],
    ]
    assert all(": expected " in problem and ", got " in problem and "; " in problem for problem in problems)


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("grid_cuont", "did you mean `grid_count`?"),
        ("gridStep", "did you mean `grid_step`?"),
        ("shadow", "did you mean `shadow_mode`?"),
        ("long_koef", "did you mean `early_imbalance_multiplier`?"),
        ("safety_caps", "did you mean `caps`?"),
        ("xyzzy", "remove it"),
    ],
)
def test_unknown_keys_are_refused_with_the_nearest_name(refusal, key, hint):
    (problem,) = refusal(_strategy(f"{key}: 1"))
    assert problem == f"4: strategies[1].{key}: expected a known key, got `{key}`; {hint}"


def test_unknown_keys_deep_inside_name_what_is_known_there(refusal):
    problems = refusal(
        ALICE + "supervisor:\n  restart: {backof_max: 3}\npaper:\n  market:\n    symbols:\n      BTCUSDT: {vol: 1}\n"
        "testnett: true\n"
    )
    assert problems[0].startswith("3: supervisor.restart.backof_max: expected one of backoff_initial, backoff_max,")
    assert problems[0].endswith("did you mean `backoff_max`?")
    assert problems[1].startswith("7: paper.market.symbols.BTCUSDT.vol: expected one of ")
    assert problems[2] == "8: testnett: expected a known key, got `testnett`; did you mean `testnet`?"


def test_keys_that_are_gone_say_where_it_went(refusal):
    (problem,) = refusal(ALICE + "database_url: sqlite:///x.db")
    assert "the database is gridbot.duckdb in `storage.data_dir`" in problem
    (problem,) = refusal("accounts: [{name: alice, environment: paper, keep_warm: true}]")
    assert "got `keep_warm`; remove it: orders are rehearsed no more" in problem


@pytest.mark.parametrize(("environ", "got"), [({}, "no such variable"), ({"NAME": ""}, "an empty value")])
def test_missing_and_empty_variables(refusal, environ, got):
    (problem,) = refusal(f"accounts:\n  - {{name: x, {KEYS}}}\nstorage:\n  data_dir: /d/${{NAME}}\n", **environ)
    assert problem.startswith(f"4: storage.data_dir: expected a value in the environment variable NAME, got {got}; ")
    assert "export NAME=" in problem


def test_a_secret_file_that_cannot_be_read(refusal, tmp_path):
    text = "accounts: [{name: x, api_key: '${KEY}', api_secret: s}]"
    (problem,) = refusal(text, KEY_FILE=str(tmp_path / "none"))
    assert f"got an unreadable file {tmp_path}/none (No such file or directory)" in problem
    (tmp_path / "empty").write_text("\n")
    (problem,) = refusal(text, KEY_FILE=str(tmp_path / "empty"))
    assert "got an empty file" in problem
    (tmp_path / "long").write_text("s" * 9000)
    (problem,) = refusal(text, KEY_FILE=str(tmp_path / "long"))
    assert f"got a file of more than 8,192 bytes, {tmp_path}/long; " in problem
    (tmp_path / "bytes").write_bytes(b"s3cret\xff")
    (problem,) = refusal(text, KEY_FILE=str(tmp_path / "bytes"))
    assert "(not text)" in problem
    assert "s3cret" not in problem
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        (problem,) = refusal(text, KEY_FILE=str(place))
        assert f" {place}" in problem, "neither waited for nor read without end"


@pytest.mark.parametrize("reference", ["${}", "${A B}", "${open"])
def test_malformed_variables(refusal, reference):
    (problem,) = refusal(ALICE + f"storage:\n  data_dir: '{reference}'")
    assert problem.startswith("3: storage.data_dir: expected a variable as ${NAME}, got ")


def test_duplicate_keys(refusal):
    (problem,) = refusal(ALICE + "logging:\n  level: INFO\n  level: DEBUG\n")
    assert problem == "4: logging.level: expected each key once, got it twice (first in line 3); remove one of the two"


def test_live_accounts_need_keys(refusal):
    (problem,) = refusal("accounts:\n  - name: my-acc\n    environment: testnet\n    api_key: k\n")
    assert problem == (
        "2: accounts[0].api_secret: expected api_secret for environment testnet, got nothing; "
        "add `api_secret: ${MY_ACC_API_SECRET}`, or choose `environment: paper`"
    )


def test_nothing_is_sent_to_mainnet_by_default(refusal):
    for spelling in ("environment: mainnet", "testnet: false"):
        (problem,) = refusal(f"accounts:\n  - {{name: x, {KEYS}, {spelling}}}")
        assert "expected `allow_mainnet: true` at the root" in problem
        assert "nothing is sent to mainnet by default" in problem
    (problem,) = refusal(f"environment: mainnet\nallow_mainnet: false\naccounts:\n  - {{name: x, {KEYS}}}")
    assert problem.startswith("4: accounts[0].environment: expected `allow_mainnet: true`")


def test_demo_takes_no_orders_over_websocket(refusal):
    text = f"accounts: [{{name: x, environment: demo, order_entry: websocket, {KEYS}}}]\n"
    (problem,) = refusal(text)
    assert "accounts[0].order_entry: expected http or auto for environment demo, got websocket" in problem
    (other,) = refusal(text.replace("websocket", "fax"))
    assert all(word in other for word in ("http", "websocket", "auto"))


def test_contradictory_environments(refusal):
    (problem,) = refusal(f"accounts:\n  - {{name: x, {KEYS}, testnet: true, environment: demo}}")
    assert problem.startswith("2: accounts[0].environment: expected `testnet` and `environment` to agree")
    (problem,) = refusal(f"testnet: maybe\naccounts:\n  - {{name: x, {KEYS}}}")
    assert problem.startswith("1: testnet: expected true or false, got `maybe`")


def test_names_are_unique_whatever_their_capitals(refusal):
    problems = refusal(
        "environment: paper\naccounts:\n  - {name: alice}\n  - {name: Alice}\nstrategies:\n"
        "  - {strat_id: s, account: alice, symbol: BTCUSDT}\n  - {strat_id: S, account: alice, symbol: ETHUSDT}\n"
    )
    assert problems[0].startswith(
        "4: accounts[1].name: expected a name no other account has, got `Alice` as accounts[0]"
    )
    assert problems[1].startswith("7: strategies[1].strat_id: expected a strat_id no other strategy has, got `S`")


def test_names_that_give_orders_the_same_ids_are_refused(refusal):
    """Tags are hashes: of fifty thousand names two have the same. The names below were found by trying."""
    problems = refusal(
        "environment: paper\naccounts:\n  - {name: acct-4460}\n  - {name: acct-18093}\n"
        "  - {name: alice, environment: demo, api_key: k, api_secret: s}\nstrategies:\n"
        "  - {strat_id: grid-74138, account: alice, symbol: BTCUSDT}\n"
        "  - {strat_id: grid-88189, account: alice, symbol: ETHUSDT}\n"
        "  - {strat_id: grid-1, account: acct-4460, symbol: ETHUSDT}\n"
    )
    assert problems == [
        "4: accounts[1].name: expected another name: it gives orders the same tag `oubamm` as `acct-4460`, accounts[0],"
        " got `acct-18093`; change one of the two, best the one whose account has no orders; the tag is a hash of it",
        "8: strategies[1].strat_id: expected another strat_id: it gives orders the same tag `07niiv` as `grid-74138`,"
        " strategies[0], got `grid-88189`; change one of the two, best the one whose account has no orders; the tag is"
        " a hash of it",
    ]


def test_strategies_of_two_accounts_may_have_the_same_tag(refusal):
    (problem,) = refusal(
        "environment: paper\naccounts:\n  - {name: alice}\n  - {name: bob}\nunknown: 1\nstrategies:\n"
        "  - {strat_id: grid-74138, account: alice, symbol: BTCUSDT}\n"
        "  - {strat_id: grid-88189, account: bob, symbol: ETHUSDT}\n"
    )
    assert "unknown" in problem


def test_two_accounts_with_one_key_are_refused_without_showing_it(refusal):
    (problem,) = refusal(f"accounts:\n  - {{name: x, {KEYS}}}\n  - {{name: y, {KEYS}}}")
    assert problem.startswith(
        "3: accounts[1].api_key: expected a key no other account uses, got the same as accounts[0]"
    )


def test_one_strategy_per_account_and_symbol(refusal):
    (problem,) = refusal(_strategy("grid_count: 20").replace("ETHUSDT", "BTCUSDT"))
    assert problem.startswith("4: strategies[1].symbol: expected one strategy per account and symbol, got `BTCUSDT`")


def test_account_references(refusal):
    (problem,) = refusal(
        _strategy("grid_count: 20").replace("{strat_id: t, account: alice", "{strat_id: t, account: bob")
    )
    assert problem == (
        "4: strategies[1].account: expected the name of an account (alice), got `bob`; "
        "correct the name or add the account"
    )


@pytest.mark.parametrize("name", ["", "a b", "../etc", "x" * 33, "ä"])
def test_names_become_directories(refusal, name):
    (problem,) = refusal(f"environment: paper\naccounts:\n  - {{name: '{name}'}}")
    assert problem.startswith("3: accounts[0].name: expected 1 to 32 letters, digits, _ or -")


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("grid_count: 3", "expected a number at least 4, got `3`"),
        ("grid_count: many", "expected a whole number, got `many`"),
        ("grid_step: 0", "expected a number more than 0, got `0`"),
        ("grid_step: .nan", "expected a number, got `.nan`"),
        ("grid_step: NaN", "expected a number, got `NaN`"),
        ("max_margin: inf", "expected a number, got `inf`"),
        ("max_margin: ", "expected a number, got nothing"),
        ("shadow_mode: perhaps", "expected true or false, got `perhaps`"),
        ("amount: 0", "expected x0.001 (fraction of the wallet), 100 (USDT) or q0.01 (coins), above zero, got `0`"),
        ("amount: b5", "expected x0.001 (fraction of the wallet), 100 (USDT) or q0.01 (coins), above zero, got `b5`"),
        ("caps: {max_notional: x0}", "expected USDT such as 20000, a multiple of the wallet such as x10, or off"),
        ("caps: 5", "expected keys with values, got `5`"),
        ("leverage: 0.5", "expected a number at least 1, got `0.5`"),
    ],
)
def test_values_out_of_range(refusal, extra, expected):
    (problem,) = refusal(_strategy(extra))
    assert expected in problem


def test_choices_are_listed(refusal):
    (problem,) = refusal(ALICE + "supervisor: {on_stop: explode}")
    assert problem == "2: supervisor.on_stop: expected one of keep, cancel, flatten, got `explode`; choose one of them"


def test_symbols_are_usdt_perpetuals(refusal):
    (problem,) = refusal(_strategy("grid_count: 20").replace("ETHUSDT", "ethusdt"))
    assert "expected a USDT perpetual such as BTCUSDT, got `ethusdt`" in problem


def test_ladders_that_cannot_exist_name_the_smallest_step(refusal):
    text = ALICE + (
        "strategies:\n  - strat_id: s\n    account: alice\n    symbol: LTCUSDT\n    grid_step: 0.005\n"
        "paper: {market: {symbols: {LTCUSDT: {price: 44}}}}"
    )
    (problem,) = refusal(text)
    assert problem.startswith(
        "6: strategies[0].grid_step: expected steps that stay apart at a price of 44 with a tick of 0.01, "
        "got `0.005` with 50 levels; use at least "
    )
    smallest = problem.rpartition(" ")[2]
    with_smallest = text.replace("0.005", smallest)
    (problem,) = refusal(with_smallest + "\nnonsense: 1")
    assert "nonsense" in problem


def test_the_paper_market_must_trade_the_symbol(refusal):
    (problem,) = refusal(_strategy("grid_count: 20") + "\npaper: {market: {symbols: {BTCUSDT: {}}}}")
    assert problem.startswith("4: strategies[1].symbol: expected a symbol of the paper market (BTCUSDT), got `ETHUSDT`")
    replay = "\npaper: {market: {source: replay, files: {BTCUSDT: x.csv}}}"
    (problem,) = refusal(_strategy("grid_count: 20") + replay)
    assert problem.endswith("add it under paper.market.files")
    (problem,) = refusal(
        _strategy("grid_count: 20").replace("ETHUSDT", "ABCUSDT")
        + replay.replace("BTCUSDT: x", "BTCUSDT: y.csv, ABCUSDT: x")
    )
    assert "expected a symbol whose trading rules the paper exchange knows" in problem


def test_an_instrument_described_in_the_file_has_its_ladder_checked(refusal):
    text = ALICE + (
        "strategies:\n  - {strat_id: s, account: alice, symbol: ABCUSDT}\n"
        "paper: {market: {instruments: {ABCUSDT: {price: 1, tick_size: 0.01, qty_step: 1}}}}"
    )
    (problem,) = refusal(text)
    assert "steps that stay apart at a price of 1 with a tick of 0.01, got `0.2` with 50 levels" in problem


def test_a_tick_size_that_is_not_the_exchanges(refusal):
    (problem,) = refusal(_strategy("tick_size: 0.5"))
    assert problem.startswith("4: strategies[1].tick_size: expected the tick size of the exchange (0.01), got `0.5`")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected keys with values, got an empty file"),
        ("# only a comment\n", "expected keys with values, got an empty file"),
        ("- a\n- b\n", "expected keys with values, got something else"),
        ("just words", "expected keys with values, got something else"),
        ("a: [1\nb: 2\n", "expected valid YAML, got "),
        ("a: *nothing\n", "expected valid YAML, got "),
        ("a:\tb\n\tc: d\n", "expected valid YAML, got "),
        ("accounts: &a [*a]\n", "expected "),
        ("? [x]\n: y\naccounts: []", "expected a name as key, got a list or mapping"),
        ("a: 1\n---\nb: 2\n", "expected valid YAML, got "),
        ("strategies: []", "expected a value, got nothing; add `accounts:` here"),
        ("accounts: []", "expected "),
        ("accounts: alice", "expected a list (lines starting with `- `), got `alice`"),
        ("accounts: [alice]", "expected keys with values, got `alice`"),
        ("accounts: " + "[" * 5000, "expected "),
        ("accounts: \x07", "expected valid YAML, got "),
    ],
)
def test_files_that_are_no_configuration(refusal, text, expected):
    assert expected in "\n".join(refusal(text))


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "g.yaml"
    path.write_bytes(b"accounts: \xff\xfe")
    with pytest.raises(ConfigError, match="expected text in UTF-8"):
        load_config(path, environ={})


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="got Is a directory"):
        load_config(tmp_path, environ={})


@pytest.mark.parametrize("address", ["http://me:sesame@host:abc", "me:sesame@host", "ftp://sesame@host/x"])
def test_a_login_in_an_address_is_in_no_error(refusal, address):
    problems = refusal(f"fleet: {{paper_url: '{address}'}}\ntelegram: {{api: '{address}'}}\n{_strategy('')}")
    assert [problem.split(": ")[1] for problem in problems] == ["fleet.paper_url", "telegram.api"]
    assert all("got an address with a user or a password, which is not shown;" in problem for problem in problems)


def test_secrets_are_in_no_error(refusal):
    problems = refusal(
        "accounts:\n"
        "  - {name: x y, api_key: {nested: sesame-1}, api_secret: [sesame-2], api_secert: sesame-3}\n"
        "  - {name: z, api_key: '${K}', api_secret: 'sesame-4 ${'}\n",
        K="sesame-5",
    )
    assert len(problems) >= 4
    assert "sesame" not in "\n".join(problems)


def test_the_error_travels_between_processes(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "none", environ={})
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.problems) == (str(caught.value), caught.value.problems)


EXAMPLE = (Path(__file__).resolve().parents[2] / "conf" / "gridbot.yaml.example").read_text()
KEYS_OF_EXAMPLE = {f"{who}_API_{what}": f"{who}-{what}" for who in ("ALICE", "BOB") for what in ("KEY", "SECRET")}
PIECES = st.sampled_from(
    ["", " ", "\n", "\n  ", ": ", "- ", "[", "]", "{", "}", "#", "'", '"', "&a ", "*a", "<<: *a", "!!int ", "? ", "|",
     "\t", "${X}", "${", "null", "-1", "1e999", "x", ".inf", "\x00", "é" * 40]
)  # fmt: skip
EDITS = st.lists(st.tuples(st.integers(0, len(EXAMPLE)), st.integers(0, 30), PIECES), min_size=1, max_size=4)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_whatever_is_done_to_a_file_it_loads_or_is_refused_in_words(tmp_path, edits):
    text = EXAMPLE
    for place, length, piece in edits:
        text = text[:place] + piece + text[place + length :]
    path = tmp_path / "g.yaml"
    path.write_text(text, encoding="utf-8")
    refused = ""
    try:
        load_config(path, environ=KEYS_OF_EXAMPLE)
    except ConfigError as error:
        refused = str(error)
    assert all(line.startswith(str(path)) and ": expected " in line for line in refused.splitlines())


@pytest.mark.parametrize("key", ["grid_step", "grid_count", "amount"])
@pytest.mark.parametrize("value", ["x1e999999", "1_000", "x1_000", "١٢", "1e30", "x1e-999999", "²", "NaN", "9" * 5000])
def test_numbers_are_digits_and_have_an_end(refusal: Refusal, key: str, value: str) -> None:
    (problem,) = refusal(_strategy(f"{key}: {value}"))
    assert f"strategies[1].{key}: expected" in problem
