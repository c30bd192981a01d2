"""`doctor` against a real paper exchange with an account for each thing that can be wrong; nothing there is changed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from click import unstyle
from click.testing import CliRunner

from gridbot.config.loading import load_config
from gridbot.config.models import GridbotConfig
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets
from gridbot.core.vocabulary import Direction, Side
from gridbot.doctor.findings import Finding, Verdict
from gridbot.orders.ids import Owner, account_tag, wire_id
from gridbot.paper.faults.fault_config import FaultConfig
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.settings import SymbolConfig
from gridbot.state.key_lock import key_lock
from supervisor.cli.doctor_text import finding_lines
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode
from tests.paper.support import Venue, eventually

KEYS: dict[str, dict[str, Any]] = {
    "good": {},
    "reader": {"read_only": True},
    "orders": {"contract_trade": ["Order"]},
    "rich": {"wallet": ["Withdraw"]},
    "allowed": {"wallet": ["Withdraw"]},
    "unbound": {"ips": ["*"], "expires_in_days": 5},
    "elsewhere": {"ips": ["10.1.2.3"]},
    "over": {"expires_in_days": -1},
    "unknown": {},
    "isolated": {},
    "oneway": {},
    "strange": {},
    "copied": {},
    "rivalled": {},
    "busy": {},
}
NO_FINDINGS = {"elsewhere": "10010", "over": "33004", "unknown": "10003"}
GRID = {"symbol": "BTCUSDT", "amount": "q0.01", "grid_count": 10, "grid_step": 0.5}
OF_STRATEGY: dict[str, dict[str, Any]] = {
    "allowed": {"grid_step": 0.02, "amount": "q8", "leverage": 99},
    "strange": {"symbol": "XRPUSDT"},
    "unbound": {"amount": "q5000"},
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def limit(symbol: str, link_id: str, position_idx: int, price: str) -> dict[str, Any]:
    return {
        "category": "linear", "symbol": symbol, "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": price,
        "orderLinkId": link_id, "positionIdx": position_idx,
    }  # fmt: skip


def link(account: str, number: int) -> str:
    owner = Owner.of(account_tag("paper", account), "grid-copied")
    return wire_id(owner, Side.BUY, Direction.LONG, 500_000, number)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Venue, GridbotConfig]]:
    """One exchange for all cases: each account is broken by what its owner would have done there."""
    home = tmp_path_factory.mktemp("doctor")
    file, port = home / "g.yaml", free_port()
    accounts = [{"name": name, "allow_withdraw_permission": name == "allowed"} for name in KEYS]
    accounts[0]["dead_man"] = "dcp 30"
    document = {
        "environment": "paper",
        "accounts": accounts,
        "strategies": [
            {"strat_id": f"grid-{name}", "account": name, **GRID, **OF_STRATEGY.get(name, {})} for name in KEYS
        ],
        "storage": {"data_dir": str(home / "data")},
        "paper": {
            "port": port,
            "limits": {"ip_requests": 0, "ip_ban_s": 0.1},
            "keys": KEYS,
            "market": {"source": "manual", "mark_halflife_s": 0},
        },
    }
    file.write_text(yaml.safe_dump(document))
    config = with_paper_secrets(load_config(file), paper_seed(home / "data"))
    made = [
        PaperAccount(each.name, each.api_key.get_secret_value(), each.api_secret.get_secret_value())
        for each in config.accounts
        if each.name != "unknown"
    ]
    market = config.paper.market.model_copy(
        update={"symbols": {name: SymbolConfig() for name in ("BTCUSDT", "ETHUSDT")}}  # the file does not know
    )
    with Venue(PaperSpec(config=config.paper.model_copy(update={"market": market}), accounts=made, port=port)) as venue:
        by_name = {each.name: each for each in made}

        def ask(name: str, call: str, **params: Any) -> None:
            assert getattr(venue.http(by_name[name]), call)(**params)["retCode"] == 0

        ask("isolated", "set_margin_mode", setMarginMode="ISOLATED_MARGIN")
        ask("oneway", "place_order", **limit("BTCUSDT", "by-hand-1", 0, "50000"))
        ask("strange", "place_order", **limit("ETHUSDT", "their-1", 0, "1000"))
        for name, link_id in (("copied", link("copied", 2_000)), ("rivalled", link("other", 5))):
            ask(name, "switch_position_mode", category="linear", symbol="BTCUSDT", mode=3)
            ask(name, "place_order", **limit("BTCUSDT", link_id, 1, "50000"))
        state = home / "data" / "state" / "copied"
        state.mkdir(parents=True)
        (state / "generation.json").write_text('{"next":2000}')
        yield file, venue, config


def asked(*words: str) -> tuple[int, dict[tuple[str, str], dict[str, str]]]:
    done = CliRunner().invoke(cli, ["doctor", "--json", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    document = json.loads(done.output)
    assert done.exit_code == {"ok": 0, "warning": 6, "refused": 7}[document["verdict"]]
    return done.exit_code, {(row["about"], row["check"]): row for row in document["findings"]}


def test_each_broken_account_has_its_line(place: tuple[Path, Venue, GridbotConfig]) -> None:
    file, venue, config = place
    before = {
        name: (dict(account.hedge), dict(account.leverage), set(account.open), account.isolated)
        for name, account in venue.server.exchange.accounts.items()
    }
    busy = config.account("busy").api_key.get_secret_value()
    with key_lock(busy, venue.url):
        code, found = asked("-c", str(file))
    assert code == ExitCode.REFUSED
    wrong = {(about, check): row for (about, check), row in found.items() if row["verdict"] != "ok"}
    wanted = {
        ("reader", "key"): ("refused", "read-only"),
        ("orders", "key"): ("refused", "Position missing"),
        ("orders", "foreign_positions"): ("warning", "10005"),
        ("orders", "margin"): ("warning", "10005"),
        ("orders/grid-orders", "position_mode"): ("warning", "10005"),
        ("orders/grid-orders", "leverage"): ("warning", "10005"),
        ("orders/grid-orders", "risk_limit"): ("warning", "not known"),
        ("rich", "withdrawals"): ("refused", "allow_withdraw_permission: true"),
        ("allowed", "withdrawals"): ("warning", "allow_withdraw_permission allows"),
        ("allowed/grid-allowed", "fees"): ("refused", "every pair of fills loses"),
        ("unbound", "key_binding"): ("warning", "bound to no address, expires in 4 days"),
        ("unbound/grid-unbound", "sizes"): ("warning", "cut to the largest order"),
        ("elsewhere", "reach"): ("refused", "10010"),
        ("over", "reach"): ("refused", "33004"),
        ("unknown", "reach"): ("refused", "10003"),
        ("isolated", "margin_mode"): ("refused", "isolated margin"),
        ("oneway/grid-oneway", "position_mode"): ("refused", "it cannot be switched"),
        ("oneway", "foreign_orders"): ("warning", "BTCUSDT: 1 worth 500.00 USDT"),
        ("strange", "foreign_orders"): ("warning", "ETHUSDT: 1 worth 10.00 USDT"),
        ("strange/grid-strange", "instrument"): ("refused", "XRPUSDT"),
        ("copied", "rival"): ("refused", "a copy of this configuration"),
        ("rivalled", "rival"): ("refused", "another gridbot trades this account"),
        ("busy", "rival"): ("refused", "on this machine, process"),
        ("good", "dead_man"): ("warning", "paper.dcp"),
    }  # fmt: skip
    for place_of, (verdict, text) in wanted.items():
        assert place_of in wrong, (place_of, found.get(place_of))
        assert wrong[place_of]["verdict"] == verdict, wrong[place_of]
        assert text in wrong[place_of]["text"]
    assert {about for about, _ in wrong if about.partition("/")[0] == "good"} == {"good"}
    assert {check for about, check in wrong if about == "good"} == {"dead_man"}
    for name in NO_FINDINGS:
        assert [check for about, check in found if about == name] == ["reach"]
    after = {
        name: (dict(account.hedge), dict(account.leverage), set(account.open), account.isolated)
        for name, account in venue.server.exchange.accounts.items()
    }
    assert after == before, "it changes nothing"
    assert not any(secret in json.dumps(list(found.values())) for secret in config.secrets())


def test_an_answer_that_does_not_come_is_not_known_and_a_ban_ends_all(place: tuple[Path, Venue, GridbotConfig]) -> None:
    file, venue, _ = place

    def spoil(kind: str, endpoint: str, **how: Any) -> None:
        venue.server.faults.add(FaultConfig.model_validate({"kind": kind, "endpoint": f"/v5/{endpoint}", **how}))

    spoil("error", "market/instruments-info", code=10016)
    _, found = asked("-c", str(file), "allowed")
    row = found["allowed/grid-allowed", "instrument"]
    assert row["verdict"] == "warning", row
    assert "BTCUSDT is not known" in row["text"]
    assert "give the command again" in row["text"]
    assert "correct the symbol" not in row["text"]
    assert "missing: the rules of BTCUSDT" in found["allowed", "margin"]["text"]

    spoil("ip_ban", "account/fee-rate", account="good")
    code, found = asked("-c", str(file), "good", "isolated")
    assert code == ExitCode.REFUSED
    for name in ("good", "isolated"):
        row = found[name, "reach"]
        assert row["verdict"] == "refused"
        assert "HTTP 403" in row["text"], row
        assert "wait until it is over, then give the command again" in row["text"]
        assert [check for about, check in found if about == name] == ["reach"]
    assert eventually(lambda: requests.get(venue.url + "/v5/market/time", timeout=5).status_code == 200), "it is over"


def test_what_is_asked_for_and_how_it_is_shown(place: tuple[Path, Venue, GridbotConfig]) -> None:
    file, _, _ = place
    _, found = asked("-c", str(file), "unbound")
    assert {about.partition("/")[0] for about, _ in found} == {"", "file", "paper", "unbound"}
    offline = CliRunner().invoke(cli, ["doctor", "-c", str(file), "good", "--offline"], env={"COLUMNS": "60"})
    assert "--offline" in offline.output
    words_alone = [line for line in offline.output.splitlines() if len(line) > 60]  # a path is never broken
    assert all(len(line.split()) == 1 for line in words_alone), offline.output
    quiet = (
        CliRunner().invoke(cli, ["doctor", "-c", str(file), "good", "-q"], env={"COLUMNS": "200"}).output.splitlines()
    )
    assert all(line.split()[0] in ("warning", "refused") for line in quiet[:-1] if not line.startswith(" "))
    assert " ok" in quiet[-1]
    nobody = CliRunner().invoke(cli, ["doctor", "-c", str(file), "nobody"]).exception
    assert isinstance(nobody, CommandError)
    assert nobody.code == ExitCode.USAGE


@pytest.mark.parametrize("example", ["demo.yaml", "fleet.yaml", "bad-night.yaml"])
def test_the_examples_that_are_shown_trade_the_sizes_they_name(example: str, tmp_path: Path) -> None:
    """Each of fifty accounts was said to trade 4 % of its wallet, and traded 6 %."""
    file = Path(__file__).parents[3] / "conf" / example
    _, found = asked("-c", str(file), "--data-dir", str(tmp_path), "--offline")
    sizes = {about: row["text"] for (about, check), row in found.items() if check == "sizes"}
    assert sizes
    assert [text for text in sizes.values() if "rounded up" in text] == []


@pytest.mark.parametrize(("fine", "bad", "last"), [(30, 2, "--quiet"), (2, 2, "2 ok, 2 warnings"), (30, 0, "30 ok")])
def test_what_has_scrolled_away_can_be_asked_for_alone(fine: int, bad: int, last: str) -> None:
    found = [Finding("sizes", Verdict.OK, "well", "alice")] * fine
    found += [Finding("sizes", Verdict.WARNING, "look", "alice")] * bad
    lines = list(finding_lines(found, only_bad=False))
    assert unstyle(lines[-1]).startswith(last)
    assert unstyle(next(iter(finding_lines(found[fine:][:1], only_bad=True)))).startswith("warning" if bad else "0 ok")


def test_before_a_start_there_is_no_paper_exchange(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    grid = {"strat_id": "btc", "account": "alice", **GRID}
    document: dict[str, Any] = {"environment": "paper", "accounts": [{"name": "alice"}], "strategies": [grid]}
    document["paper"] = {"keys": {"alcie": {}}}
    file.write_text(yaml.safe_dump(document | {"storage": {"data_dir": str(tmp_path / "data")}}))
    code, found = asked("-c", str(file))
    assert code == ExitCode.DEGRADED
    assert "paper.keys alcie: expected the name of a paper account (alice)" in found["file", "configuration"]["text"]
    assert found["alice", "reach"]["verdict"] == "ok"
    assert "no paper exchange runs" in found["alice", "reach"]["text"]
    assert {"margin", "liquidation"} <= {check for about, check in found if about == "alice"}
    assert {"fees", "sizes"} <= {check for about, check in found if about == "alice/btc"}
    assert not (tmp_path / "data").exists(), "nothing is made"
    file.write_text("accounts: 7")
    assert CliRunner().invoke(cli, ["doctor", "-c", str(file)]).exit_code != ExitCode.OK
