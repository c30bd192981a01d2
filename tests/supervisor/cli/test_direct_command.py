"""`flatten --direct`: the supervisor is dead, and an operator has nothing but the file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gridbot.config.loading import load_config
from gridbot.config.paper_secrets import paper_seed, with_paper_secrets
from gridbot.paper.server.paper_spec import PaperAccount, PaperSpec
from gridbot.paper.server.paper_thread import PaperThread
from gridbot.rescue.rescue import Rescue
from gridbot.state.key_lock import key_lock
from supervisor.cli.main import cli
from supervisor.control.control_client import Denied
from supervisor.exit_codes import ExitCode
from tests.integration.test_flattening import legs, with_legs
from tests.integration.worker_bench import resting, trading

STRATEGY = {
    "strat_id": "btc",
    "account": "alice",
    "symbol": "BTCUSDT",
    "tick_size": "0.1",
    "grid_count": 10,
    "grid_step": 0.2,
    "amount": "q0.01",
}


@contextlib.contextmanager
def without_a_supervisor(home: Path) -> Iterator[tuple[Path, PaperThread]]:
    """A file, and a paper exchange of its own, on which a worker has left orders and legs when it died."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = home / "conf" / "g.yaml"
    file.parent.mkdir()
    paper = {
        "port": port,
        "ticker_interval_ms": 0,
        "ack_delay_ms": 1,
        "limits": {"orders_per_second": 0, "queries_per_second": 0, "ip_requests": 0},
        "market": {"source": "manual", "symbols": {"BTCUSDT": {"price": "50000"}}},
    }
    document = {
        "environment": "paper",
        "accounts": [{"name": "alice"}, {"name": "bob"}],
        "strategies": [STRATEGY, {**STRATEGY, "strat_id": "bob-btc", "account": "bob"}],
        "storage": {"data_dir": str(home / "data")},
        "paper": paper,
    }
    file.write_text(yaml.safe_dump(document))
    config = load_config(file)
    config = with_paper_secrets(config, paper_seed(config.storage.data_dir))
    accounts = [
        PaperAccount(one.name, one.api_key.get_secret_value(), one.api_secret.get_secret_value())
        for one in config.accounts
    ]
    with PaperThread(PaperSpec(config=config.paper, accounts=accounts, port=port)) as thread:

        async def leave() -> None:
            async with trading(config, thread, crash=True) as bench:
                await with_legs(bench, thread)

        asyncio.run(leave())
        yield file, thread


def test_it_cancels_and_closes_with_nothing_but_the_file(tmp_path: Path) -> None:
    with without_a_supervisor(tmp_path) as (file, paper):
        account = with_paper_secrets(load_config(file), paper_seed(tmp_path / "data")).account("alice")

        def give(*words: str) -> tuple[int, str]:
            done = CliRunner().invoke(cli, [*words, "--direct", "-c", str(file)])
            return done.exit_code, done.output

        with key_lock(account.api_key.get_secret_value(), paper.url):
            with pytest.raises(Denied, match="nothing was done: expected to be the only process that trades with this"):
                CliRunner().invoke(cli, ["flatten", "alice", "--direct", "-c", str(file)], catch_exceptions=False)
            code, text = give("flatten", "alice", "bob", "--expect", "2")
            assert code == ExitCode.PARTLY
            assert "alice: NOT DONE: nothing was done: expected" in text
            assert "bob: flat, confirmed by REST: no leg was closed" in text
            assert text.endswith("done for 1 of 2; NOT done: alice\n")
            code, text = give("cancel", "bob", "alice", "--json")
            told = json.loads(text)
            assert (code, told["done"], told["not_done"], told["exit_code"]) == (ExitCode.PARTLY, 1, 1, 11)
            assert [(row["target"], row["ok"]) for row in told["targets"]] == [("alice", False), ("bob", True)]
            assert legs(paper)
        with pytest.MonkeyPatch.context() as patch:  # a fault of ours with one account leaves the other's closes alone
            real = Rescue.run

            async def run(rescue: Rescue, message: Mapping[str, Any]) -> bool:
                return await real(rescue, message) if rescue.spec.account == "bob" else bool(1 / 0)

            patch.setattr(Rescue, "run", run)
            code, text = give("flatten", "alice", "bob", "--expect", "2")
            assert (code, "bob: flat, confirmed by REST" in text) == (ExitCode.PARTLY, True), text
            assert "alice: NOT DONE: it broke off, look at the account: unexpected ZeroDivisionError" in text
            assert give("flatten", "alice")[0] == ExitCode.UNEXPECTED
        code, text = give("flatten", "alice", "bob", "--dry-run")
        assert code == 0, text
        assert "it asks for that number, or --expect 2. Nothing was sent." in text
        alice, bob = json.loads(give("flatten", "alice", "bob", "--dry-run", "--json")[1])["targets"]
        assert re.fullmatch(
            "it pauses; [1-9][0-9]* resting orders are cancelled, long 0.010? and short 0.010? are closed",
            alice["would"],
        )
        assert (bob["orders"], bob["long"], alice["process"]) == (0, "0", "DIRECT")
        assert legs(paper)
        assert json.loads(give("flatten", "alice", "bob", "--json")[1])["error"].startswith("expected --expect 2")
        assert give("flatten", "alice/btx")[0] != 0
        code, text = give("kill", "alice", "--reason", "the host burns")
        assert (code, text.count("\n")) == (0, 1), text
        assert text.startswith("alice: flat, confirmed by REST: closed ")
        assert (legs(paper), resting(paper)) == ({}, [])
        assert give("flatten", "alice")[0] == 0, "safe to repeat"


def test_a_paper_exchange_inside_a_supervisor_has_ended_with_it(tmp_path: Path) -> None:
    file = tmp_path / "g.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "environment": "paper",
                "accounts": [{"name": "alice"}],
                "strategies": [STRATEGY],
                "storage": {"data_dir": str(tmp_path / "data")},
            }
        )
    )
    done = CliRunner().invoke(cli, ["flatten", "alice", "--direct", "-c", str(file)])
    assert "expected a paper exchange of its own for --direct" in str(done.exception)


@pytest.mark.parametrize("command", ["pause", "resume", "reconcile"])
def test_what_needs_a_worker_has_no_such_option(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "alice", "--direct"])
    assert done.exit_code == ExitCode.USAGE
    assert "--direct" in done.output
