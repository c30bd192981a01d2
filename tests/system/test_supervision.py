"""The fleet as a user runs it: start, status, sql, deaths, stop. Real processes on the paper exchange."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from supervisor.control.operator_name import user_at_host
from supervisor.polling import wait_until
from tests.store.kit import hold

from .conftest import DEMO

pytestmark = pytest.mark.system


def all_is_well(session):
    """What `status` shows, None while something is not healthy: a busy machine makes a report late."""
    shown = session.ask("status")
    return shown if shown.exit_code == 0 else None


def fills(status):
    return {row["strat_id"]: row.get("fills") or 0 for account in status["accounts"] for row in account["strategies"]}


def test_a_detached_session_from_start_to_stop(gridbot):
    late = DEMO.replace("- name: bob\n", "- name: bob\n    groups: [late]\n")
    session = gridbot.prepare(late + "\nsupervisor: {heartbeat_timeout: 60}\n")  # a frozen worker stays it
    started = session.run("start", "--detach")
    assert started.returncode == 0, started.stdout + started.stderr + session.tail()
    assert "runs in the background" in started.stdout
    assert session.run("start", "--detach").returncode == 7
    session.wait(lambda status: all(count > 0 for count in fills(status).values()), "fills of every strategy")
    shown = wait_until(lambda: all_is_well(session), timeout_s=60.0, every_s=0.2)
    assert shown is not None, session.ask("status").stdout
    assert "\x1b" not in shown.stdout
    assert {line.split(" ")[0] for line in shown.stdout.splitlines()} >= {"alice", "bob", "alice-btc", "writer"}
    assert {account["order_entry"]["way"] for account in session.status()["accounts"]} == {"websocket"}
    assert session.sql("SELECT count(*) AS n FROM fills")[0]["n"] > 0
    what_a_command_did_is_in_the_next_status_and_a_frozen_worker_does_nothing(session)
    assert "nothing is left running" in session.stop()
    assert session.run("status").returncode == 3
    assert session.sql("SELECT count(DISTINCT account) AS n FROM fills")[0]["n"] == 2


def what_a_command_did_is_in_the_next_status_and_a_frozen_worker_does_nothing(session):
    def states():
        return {row["state"] for row in session.account("alice")["strategies"]}

    for _ in range(3):
        for command, state in (("pause", "paused"), ("resume", "active")):
            assert session.ask(command, "alice").exit_code == 0
            assert states() == {state}
    pid = session.kill("worker-alice", signal.SIGSTOP)
    told = session.run("reconcile", "--all")
    quick, slow, last = told.stdout.splitlines()
    assert (told.returncode, quick.partition(":")[0], last) == (11, "bob", "done for 1 of 2; NOT done: alice")
    assert slow.startswith("alice: NOT DONE: reconcile was not carried out: the worker of alice did not take it")
    assert session.ask("pause", "bob").exit_code == 0
    shown = session.ask("status")
    assert shown.exit_code == 6
    assert "no report for" in shown.stdout
    session.kill("worker-alice", signal.SIGCONT)
    status = session.wait(lambda status: status["health"] == "healthy", "health")
    assert status["accounts"][0]["process"]["pid"] in (pid, session.process("worker-alice")["pid"])
    assert states() == {"active"}
    many_accounts_are_told_apart_confirmed_and_recorded(session)


def many_accounts_are_told_apart_confirmed_and_recorded(session):
    refused = session.run("resume", "--group", "late", "alice")
    assert (refused.returncode, "expected --expect 2" in refused.stderr) == (7, True)
    assert session.strategy("bob-sol")["state"] == "paused"
    code, said = on_a_terminal(session, "resume", "--group", "late", "al*", typed="2\n")
    assert (code, "Type the number of accounts to go on: " in said) == (0, True), said
    assert session.strategy("bob-sol")["state"] == "active"
    dry = json.loads(session.ask("kill", "*/*", "--dry-run", "--json").stdout)
    assert [row["target"] for row in dry["targets"]] == [
        "alice/alice-btc",
        "alice/alice-eth",
        "bob/bob-sol",
        "bob/bob-ltc-shadow",
    ]
    done = json.loads(session.ask("reconcile", "--all", "--expect", "2", "--json").stdout)
    assert [(row["target"], row["ok"], row["result"]) for row in done["targets"]] == [
        ("alice", True, "under way"),
        ("bob", True, "under way"),
    ]
    kept = "SELECT name, target, ok, who, result FROM operator_commands ORDER BY local_ts, target"
    session.wait(lambda _: [row for row in session.sql(kept) if row["name"] == "reconcile"][3:], "the records")
    rows = session.sql(kept)
    assert {row["who"] for row in rows} == {user_at_host(os.getuid())}
    told = [(row["name"], row["target"], row["ok"]) for row in rows if row["target"] != "alice" or not row["ok"]]
    assert ("pause", "bob", True) in told
    assert ("reconcile", "alice", False) in told
    assert ("resume", "alice bob", False) in told, "what was not confirmed"
    assert ("kill", "alice", True) not in told, "a dry run gives no command"


def on_a_terminal(session, *arguments, typed):
    """The exit code of a command, and what it showed on the terminal where `typed` is written."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    done = subprocess.run(
        [sys.executable, "-m", "supervisor", *arguments],
        env=session.environment(),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        timeout=60,
        check=False,
    )
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    return done.returncode, said


def test_a_reader_that_never_closes_and_deaths_of_worker_writer_and_supervisor(gridbot):
    session = gridbot.start(DEMO + "\nstorage: {lag_alert: 1}\n")
    a_reader_that_never_closes_makes_the_database_lag_is_named_and_costs_nothing(session)
    worker, writer = session.kill("worker-alice"), session.kill("writer")
    assert session.wait_replaced("worker-alice", worker)["restarts"] == 1
    session.wait_replaced("writer", writer)
    before = fills(session.wait(lambda status: status["health"] == "healthy", "health"))
    session.wait(lambda status: fills(status)["alice-eth"] > before["alice-eth"], "another fill of alice's")
    assert session.process("worker-bob")["restarts"] == 0
    session.kill_supervisor()
    # nothing has to be cleaned up by hand: the next start finds lock and socket free
    session.start()
    session.wait(lambda status: status["writer"]["waiting"].get("alice") is not None, "the writer to know alice")
    assert session.interrupt() == 0
    session.assert_nothing_left()
    counts = "SELECT account FROM fills GROUP BY 1 HAVING count(*) <> count(DISTINCT exec_id)"
    assert session.sql(counts) == []
    [gaps] = session.sql("SELECT count(*) AS n FROM ingest_gaps")
    assert gaps["n"] == 0


def a_reader_that_never_closes_makes_the_database_lag_is_named_and_costs_nothing(session):
    reader = hold(session.data_dir, "ro")
    try:
        session.wait(lambda status: f"pid {reader.pid}" in (status["writer"]["held_by"] or ""), "who holds it")
        shown = session.ask("status").stdout
        assert f"(pid {reader.pid})" in shown
        before = fills(session.status())

        def told(status):
            texts = [alert["text"] for alert in status["alerts"] if "behind" in alert["text"]]
            return [text for text in texts if "trading goes on and nothing is lost" in text]

        session.wait(told, "the alert")
        session.wait(lambda status: fills(status)["alice-eth"] > before["alice-eth"], "trading all the while")
    finally:
        reader.kill()
        reader.wait()
    caught_up = "the database has caught up"
    session.wait(lambda status: any(a["text"] == caught_up for a in status["alerts"]), "the file to be let go")
    kept = "SELECT text FROM alerts WHERE account = '_supervisor' ORDER BY seq"
    session.wait(lambda _: [row for row in session.sql(kept) if row["text"] == caught_up], "both in the records")
    assert "behind" in session.sql(kept)[0]["text"]


def test_deaths_on_a_full_disk_are_a_wait_and_everything_runs_again_when_there_is_room(gridbot, tmp_path):
    """A disk of its own: with a death on it, `alice FATAL`, `writer FATAL` for ever."""
    disk = tmp_path / "data"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"not allowed here: {' '.join(command)}: {mounted.stderr.strip()}")
    try:
        quick = "\nsupervisor: {restart: {backoff_initial: 0.1, backoff_max: 0.1, max_restarts: 1}}\n"
        session = gridbot.start(DEMO.replace("paper:\n", "paper:\n  state_file: exchange.json\n", 1) + quick)
        session.wait(lambda status: all(count > 0 for count in fills(status).values()), "fills of every strategy")
        filler = disk / "filler"

        def tried(status):
            """What those who were killed leave free is taken, too."""
            with filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * 512)
            return status["accounts"][0]["process"]["restarts"] > 2

        assert not tried(session.status())
        for name in ("worker-alice", "writer", "paper"):
            session.kill(name)
        session.wait(tried, "more tries than are allowed")
        rows = [session.process(name) for name in ("worker-alice", "worker-bob", "writer", "paper")]
        assert not [row["name"] for row in rows if row["state"] == "FATAL"]
        assert rows[1]["restarts"] == 0
        texts = [alert["text"] for alert in session.status()["alerts"] if alert["child"] == "worker-alice"]
        assert len([text for text in texts if "it waits until there is room" in text]) == 1
        filler.unlink()
        session.wait(lambda status: status["health"] == "healthy", "health")
        session.stop()
        [gaps] = session.sql("SELECT count(*) AS n FROM ingest_gaps")
        assert gaps["n"] == 0
        checked = session.ask("ledger", "check")
        assert checked.exit_code == 0, checked.output
    finally:
        session.clean_up()
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_start_that_fails_at_first_is_told_in_words_and_tried_again(gridbot):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        session = gridbot.prepare(DEMO.replace("paper:\n", f"paper:\n  port: {port}\n", 1))
        started = session.run("start", "--detach")
        assert started.returncode == 6, started.stderr + session.tail()
        assert "refused to start (exit code 7)" in started.stderr
        assert "address already in use" in started.stderr
        assert "worker-alice is STOPPED: waits for the paper exchange" in started.stderr
    session.wait(lambda status: status["health"] == "healthy", "health once the port is free")
    assert session.status()["paper"]["url"].endswith(f":{port}")
    a_removed_data_directory_is_told_and_made_again(session)
    session.stop()
    checked = session.ask("ledger", "check")
    assert checked.exit_code == 0, checked.output
    [gaps] = session.sql("SELECT count(*) AS n FROM ingest_gaps")
    assert gaps["n"] == 0, "each record was still in a journal"


def a_removed_data_directory_is_told_and_made_again(session):
    """Socket and lock came back, `status` stayed healthy, and a death or the end of the session lost every record."""
    session.wait(lambda status: all(count > 0 for count in fills(status).values()), "fills of every strategy")
    shutil.rmtree(session.data_dir, ignore_errors=True)

    def told(status):
        texts = [incident["text"] for incident in status["incidents"]]
        files = ("journal/alice", "journal/bob", "journal/_supervisor", "state/alice", "gridbot.duckdb")
        return all(any(f"/{file}" in text for text in texts) for file in files) and status["reasons"]

    session.wait(told, "word of all files that are gone")
    assert session.ask("status").exit_code == 6
    database = session.data_dir / "gridbot.duckdb"
    session.wait(lambda status: database.exists() and not status["writer"]["error"], "another database")
    for file in ("gridbot.duckdb", "state/alice/run.json", "logs/worker-bob.jsonl", "journal/bob/lock"):
        assert (session.data_dir / file).exists(), file
    pid = session.kill("worker-alice")
    session.wait_replaced("worker-alice", pid)
