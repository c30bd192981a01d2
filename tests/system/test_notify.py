"""People are told of alerts beside real trading, by the real Apprise; its address stays with its process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.parts.own_supervisor import child_rows
from tests.supervisor.notify.post_office import post_office

from .conftest import DEMO, wait_for

pytestmark = pytest.mark.system

TOKEN = "bot0123456789-of-nobody"
NOTIFY = """
notify:
  routes: [{name: phone, urls: ["${PHONE_URL}"]}]
  gather: 0
  after_restart: 0
  retry_initial: 0.2
  retry_max: 1
  ping_url: http://127.0.0.1:%d/ping/%s
  ping_period: 5
"""


def spread(data_dir: Path, console: Path) -> list[str]:
    """The files of a run that have the token."""
    files = [console, *(path for path in data_dir.rglob("*") if path.is_file())]
    return [str(path) for path in files if TOKEN.encode() in path.read_bytes()]


def test_a_death_is_told_though_the_service_was_away_and_the_messenger_was_killed(gridbot, monkeypatch):
    with post_office() as office:
        office.status = 503
        session = gridbot.prepare(DEMO + NOTIFY % (office.port, TOKEN))
        environment = {**session.environment(), "PHONE_URL": office.url(TOKEN)}
        monkeypatch.setattr(session, "environment", lambda: environment)
        session.start()
        session.ask("restart", "bob")

        def route(status):
            return (status["notify"]["routes"] or [{}])[0]

        session.wait(lambda status: status["notify"]["routes"] is not None, "the process of messages")
        alice = session.kill("worker-alice")
        status = session.wait(lambda status: route(status).get("problem"), "a message that did not arrive")
        assert route(status)["problem"] == "the service answered HTTP 503"
        assert (route(status)["service"], route(status)["waiting"] > 0) == ("json", True)
        assert status["health"] == "healthy" or "worker-alice" in str(status["reasons"]), "no reason against health"
        shown = session.ask("alerts")
        assert "phone (json) cannot be told anything" in shown.stderr, shown
        session.wait_replaced("worker-alice", alice)

        messenger = status["notify"]["process"]["pid"]
        os.kill(messenger, signal.SIGKILL)
        office.status = 200
        wait_for(lambda: any("worker-alice" in text or "alice: down" in text for text in office.texts), "the message")
        session.wait(lambda status: status["notify"]["process"]["pid"] not in (None, messenger), "the next messenger")
        assert not any("bob" in text for text in office.texts), "its restart was asked for"
        tested = session.run("notify", "test", "phone")
        assert (tested.returncode, tested.stdout) == (0, "phone: delivered\n"), tested
        wait_for(lambda: any(path.startswith("/ping/") for path in office.asked), "the ping")

        status = session.status()
        pids = {name: row["pid"] for name, row in child_rows(status).items()} | {"it": status["supervisor"]["pid"]}
        known = {
            name for name, pid in pids.items() for what in ("environ", "cmdline")
            if name != "it" and TOKEN.encode() in Path(f"/proc/{pid}/{what}").read_bytes()
        }  # fmt: skip
        assert known == set()
        assert TOKEN not in str(status)
        messenger = status["notify"]["process"]["pid"]
        session.config.write_text(session.config.read_text().replace("notify:\n", "notify:\n  name: night fleet\n"))
        told = session.ask("reload")
        assert told.stdout.splitlines()[-2:] == [
            "notify.name gridbot -> night fleet: at once, by a new process beside trading", "applied"
        ], told  # fmt: skip
        session.wait(lambda status: status["notify"]["process"]["pid"] not in (None, messenger), "the next messenger")
        session.wait(lambda status: status["notify"]["routes"] is not None, "its first report")
        session.kill_supervisor()
        wait_for(
            lambda: any("night fleet: the supervisor is gone" in text for text in office.texts), "the last message"
        )
    assert spread(session.data_dir, session.console) == []
