"""A reader that has gone ends every command without a word with 141: each of the tree, with what it prints."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from gridbot.market.archive import Fetched
from supervisor.cli import detached_start
from supervisor.cli import main as cli_module
from supervisor.cli.standard_streams import OutputGone
from supervisor.exit_codes import ExitCode
from supervisor.fleet.fleet_view import HostRow, View
from supervisor.fleet.host_store import ConfigVersion
from tests.config.keyring_backends import environ_of
from tests.store.session import DAY_MS, Session, make_session, write_all
from tests.supervisor.cli.test_declared_commands import all_commands

PAPER = """environment: paper
accounts: [{name: alice}]
strategies:
- {strat_id: btc_grid, account: alice, symbol: BTCUSDT, tick_size: 0.1, amount: q0.01, grid_count: 10, grid_step: 0.5}
"""
ORIGINAL = "accounts: [{name: a, api_key: k, api_secret: s}]\n"
TRADES = "BTCUSDT2026-09-01.csv"
LOG = "time,event,market,side,position,price,usd,id\n1700000006.214,ORDER,BTC-PERP,B,L,59940.0,120,a1\n"
MAP = Path(__file__).resolve().parents[3] / "conf" / "maps" / "columns.yaml"
LINES = {
    "adopt": "adopt alice",
    "alerts ack": "alerts ack k3x9aq",
    "alerts list": "alerts list --json",
    "alerts mute": "alerts mute stale_price",
    "alerts unmute": "alerts unmute stale_price",
    "backtest list": "backtest list",
    "backup": "backup {here}/copy.duckdb",
    "bundle": "bundle {here}/bundle.zip -c {here}/g.yaml --offline --rows 1",
    "cancel": "cancel alice",
    "check": "check -c {here}/g.yaml",
    "compare log": "compare log alice/btc_grid {here}/log.csv --map " + shlex.quote(str(MAP)),
    "compare shadow": "compare shadow alice/btc_grid carl/btc_shadow",
    "completion": "completion bash",
    "config migrate": "config migrate {here}/original.yaml",
    "config show": "config show -c {here}/g.yaml",
    "correct": "correct alice --as-of 1 --figures []",
    "data check": "data check",
    "data export": "data export BTCUSDT --out {here}/days",
    "data fetch": "data fetch BTCUSDT --from 2026-09-01 --to 2026-09-01",
    "data import": "data import {here}/data/BTCUSDT2026-09-01.csv",
    "data list": "data list",
    "doctor": "doctor -c {here}/g.yaml --offline",
    "export": "export {here}/parquet --table executions",
    "fills": "fills",
    "fleet config diff": "fleet config diff -c {here}/host.yaml",
    "fleet config push": "fleet config push {here}/g.yaml -c {here}/host.yaml",
    "fleet config show": "fleet config show -c {here}/host.yaml",
    "fleet demo": "fleet demo --stop",
    "fleet drain": "fleet drain h1 -c {here}/host.yaml",
    "fleet forget": "fleet forget h1 -c {here}/host.yaml",
    "fleet init": "fleet init -c {here}/host.yaml",
    "fleet move": "fleet move alice h1 -c {here}/host.yaml",
    "fleet spread": "fleet spread -c {here}/host.yaml",
    "fleet status": "fleet status -c {here}/host.yaml",
    "fleet undrain": "fleet undrain h1 -c {here}/host.yaml",
    "flatten": "flatten alice",
    "init": "init {here}/new.yaml",
    "kill": "kill alice",
    "journal show": "journal show alice",
    "ledger check": "ledger check",
    "logs": "logs writer",
    "metrics": "metrics",
    "notify test": "notify test -c {here}/notify.yaml",
    "open": "open --print",
    "orders": "orders",
    "paper": "paper -c {here}/g.yaml",
    "pause": "pause alice",
    "ping": "ping",
    "pnl": "pnl",
    "positions": "positions",
    "rebuild": "rebuild",
    "reconcile": "reconcile alice",
    "reduce": "reduce alice",
    "report": "report --account alice --out -",
    "reload": "reload --dry-run",
    "restart": "restart alice",
    "resume": "resume alice",
    "secret check": "secret check alice -c {here}/g.yaml",
    "secret remove": "secret remove alice -c {here}/g.yaml",
    "secret set": "secret set alice -c {here}/g.yaml",
    "sql": "sql 'FROM range(100000)'",
    "start": "start --detach -c {here}/g.yaml",
    "status": "status --json",
    "stop": "stop",
    "vacuum": "vacuum",
    "why": "why --json",
    "verdict": "verdict -c {here}/g.yaml --account alice --day 2026-01-01",
}
"""Of each command a line that prints something."""


class Gone(io.RawIOBase):
    """A pipe without a reader, as `standard_streams` makes one of it."""

    def writable(self) -> bool:
        return True

    def write(self, _: Any) -> int:
        raise OutputGone


class Client:
    """A supervisor that runs."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def worker(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"result": "done"}

    def request(self, *_: Any, **__: Any) -> dict[str, Any]:
        shown = {"lines": ["nothing differs"], "difference": {}, "left_open": [], "asks": [], "applied": False}
        return {"child": "worker-alice", **shown, "plan": "", "result": "nothing was changed"}

    def ping(self) -> dict[str, Any]:
        return {"state": "running", "version": "0.1.0", "pid": 1}

    def why(self, *_: Any) -> dict[str, Any]:
        return {"strategies": []}

    def status(self) -> dict[str, Any]:
        alice = {"account": "alice", "process": {"name": "worker-alice", "state": "RUNNING"}, "strategies": []}
        web = {"url": "http://127.0.0.1:8797", "process": {}}
        return {
            "health": "healthy",
            "accounts": [alice],
            "incidents": [],
            "supervisor": {"config": str(MAP)},
            "web": web,
        }


class FleetStore:
    """The database of a fleet, as much of it as the commands ask."""

    def __init__(self, *_: Any) -> None:
        self.link = SimpleNamespace(close=self.nothing)

    async def nothing(self, *_: Any) -> None:
        pass

    check = wish = nothing

    async def push(self, *_: Any) -> tuple[int, bool]:
        return 1, True

    async def drain(self, *_: Any, on: bool) -> bool:
        return True

    async def versions(self) -> tuple[int, list[ConfigVersion]]:
        return 1, [ConfigVersion(1, PAPER, "somebody", "", "")]

    async def records_behind(self) -> dict[str, float]:
        return {}

    async def config(self, version: int = 0) -> ConfigVersion:
        return ConfigVersion(1, PAPER, "somebody", "", "")

    async def view(self) -> View:
        offers = frozenset({"alice"})
        return View((HostRow("h1", "i", "up", 9, "", "", offers, {}, False, 1, "", 9.0, 0.1),), (), {}, 1)


async def made(*_: Any, **__: Any) -> tuple[int, bool, list[str]]:
    return 0, True, ["alice"]


async def no_objection(*_: Any, **__: Any) -> str:
    return ""


async def nothing_new(*_: Any) -> Fetched:
    return Fetched(there=[date(2026, 9, 1)])


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("records")
    make_session(directory)
    carl = Session(directory, "carl")
    carl.run("start")
    for _ in range(6):  # days, around those of alice: they can be compared
        carl.fill("Buy", "98", "1", strategy="btc_shadow", shadow=True, source="shadow")
        carl.now_ms += DAY_MS
    carl.close()
    write_all(directory)
    (directory / "logs").mkdir()
    (directory / "logs" / "writer.jsonl").write_text("a line\n")
    (directory / TRADES).write_text("timestamp,symbol,side,size,price\n1788220801.5,BTCUSDT,Buy,0.005,60000.1\n")
    words = ["data", "import", str(directory / TRADES), "--market", str(directory / "market")]
    assert CliRunner().invoke(cli_module.cli, words).exit_code == 0
    return directory


def test_there_is_a_line_for_each_command() -> None:
    assert LINES.keys() == all_commands().keys()


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("asked", ["{line}", "{name} --help"])
def test_it_ends_without_a_word(
    records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: str
) -> None:
    data = tmp_path / "data"
    if "{line}" in asked:  # help looks at no records
        shutil.copytree(records, data)
    (tmp_path / "g.yaml").write_text(PAPER)
    (tmp_path / "keys").mkdir()
    for variable, value in environ_of(tmp_path / "keys").items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.stdin", io.StringIO("key\nsecret\n"))
    route = "notify: {routes: [{name: x, urls: ['json://127.0.0.1:9']}]}\n"
    (tmp_path / "notify.yaml").write_text(PAPER + route)
    (tmp_path / "log.csv").write_text(LOG)
    (tmp_path / "original.yaml").write_text(ORIGINAL)
    (tmp_path / "host.yaml").write_text("fleet: {name: night, host: h1, dsn: 'host=127.0.0.1'}")
    monkeypatch.setattr("supervisor.fleet.host_store.HostStore", FleetStore)
    monkeypatch.setattr("supervisor.fleet.fleet_roles.init", made)
    monkeypatch.setattr("supervisor.fleet.host_forgetting.forget", no_objection)
    for module in ("alerts", "fleet_command", "ledger", "open_page", "ping", "reload", "status_command", "why"):
        monkeypatch.setattr(f"supervisor.cli.{module}.PatientClient", Client)
    monkeypatch.setattr("supervisor.cli.stop.stop_supervisor", lambda *_, **__: "stopped")
    monkeypatch.setattr("supervisor.cli.paper.run_standalone", lambda _, show: show("http://127.0.0.1:1"))
    if name == "start":  # it is everybody's Popen: `secret` asks a real process
        monkeypatch.setattr("supervisor.cli.detached_start.subprocess.Popen", lambda *_, **__: SimpleNamespace(pid=1))
    monkeypatch.setattr("gridbot.market.archive.fetch", nothing_new)
    ready = {"accounts": [], "writer": None, "paper": None}
    monkeypatch.setattr(detached_start, "_started", lambda *_: ready)
    words = shlex.split(asked.format(line=LINES[name].format(here=tmp_path), name=name))
    monkeypatch.setattr(sys, "argv", ["gridbot-supervisor", *words, "--data-dir", str(data)])
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Gone()), write_through=True))
    with pytest.raises(SystemExit) as end:
        cli_module.main()
    assert (end.value.code, said.getvalue()) == (ExitCode.OUTPUT_GONE, "")
