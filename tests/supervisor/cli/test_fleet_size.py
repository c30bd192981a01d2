"""Warnings of `check` about memory and CPU, with injected machines and control groups."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gridbot.config.account_models import AccountConfig
from gridbot.config.models import GridbotConfig
from gridbot.exchange.environment import Environment
from supervisor.cli import machine_checks
from supervisor.cli.check import check
from supervisor.cli.fleet_size import fleet_cautions
from supervisor.cli.machine_size import Machine, this_machine
from tests.case_table import case_table

GB = 1_000_000_000


def fleet(count: int) -> GridbotConfig:
    accounts = [AccountConfig(name=f"a{number}", environment=Environment.PAPER) for number in range(count)]
    return GridbotConfig(accounts=tuple(accounts))


@case_table(
    ("accounts", "memory", "cores", "words"),
    [
        (20, 2 * GB, 2, []),
        (
            20,
            int(0.9 * GB),
            2,
            ["memory: 20 accounts want about 0.80 GB (30 MB each, 200 MB for all else); 0.9 GB here"],
        ),
        (50, 8 * GB, 2, []),
        (
            60,
            8 * GB,
            2,
            ["cpu: 60 accounts want about 1.9 cores when each fills five orders a second; 2 here"],
        ),
        (225, 100 * GB, 64, []),
        (
            226,
            100 * GB,
            64,
            [
                "requests: a start takes 2037 requests, then 267 a minute of 6480 that workers may send; an address "
                "bears 225 accounts; divide the accounts among several addresses"
            ],
        ),
        (1, GB // 4, 0.1, ["memory: 1 account wants about 0.23 GB", "cpu: 1 account wants about 0.1 cores"]),
    ],
)
def test_a_fleet_that_wants_more_than_there_is_is_told(
    accounts: int, memory: int, cores: float, words: list[str]
) -> None:
    found = list(fleet_cautions(fleet(accounts), Machine(memory, cores)))
    assert len(found) == len(words)
    assert [line for line, start in zip(found, words, strict=True) if not line.startswith(start)] == []


@pytest.mark.parametrize(
    ("files", "memory", "cores"),
    [
        ({"memory.max": "1000000\n", "cpu.max": "50000 100000\n"}, 1_000_000, 0.5),
        (
            {
                "memory/memory.limit_in_bytes": "2000000",
                "cpu/cpu.cfs_quota_us": "25000",
                "cpu/cpu.cfs_period_us": "100000",
            },
            2_000_000,
            0.25,
        ),
    ],
)
def test_a_container_counts_instead_of_the_machine(
    tmp_path: Path, files: dict[str, str], memory: int, cores: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert this_machine(tmp_path) == Machine(memory, cores)


def test_without_a_limit_it_is_the_machine(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert this_machine(tmp_path) == this_machine(tmp_path / "none")
    assert this_machine(tmp_path).cores >= 1


def test_the_last_line_of_check_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "this_machine", lambda: Machine(GB // 4, 0.1))
    path = tmp_path / "g.yaml"
    path.write_text(
        "environment: paper\naccounts: [{name: dan}]\nstrategies: [{strat_id: s, account: dan, symbol: BTCUSDT}]\n"
    )
    lines = CliRunner().invoke(check, ["-c", str(path)]).output.splitlines()
    assert lines[-1] == "ok: 1 strategy can start; 2 warnings above"
