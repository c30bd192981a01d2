"""The supervisor with real processes, pipes and signals: deaths of every kind, and what the others notice of them."""

from __future__ import annotations

import asyncio
import os
import signal
import stat

import psutil
import pytest

from supervisor.children.launch_plan import Plan
from supervisor.cli.stop import stop_supervisor
from supervisor.control.control_client import Refused, Unanswered
from supervisor.exit_codes import CommandError, ExitCode
from supervisor.process.loop import Supervisor
from tests.supervisor.conftest import wait_for


def kill(process, number=signal.SIGKILL):
    os.kill(process["pid"], number)


def queues_of_writers(rig):
    """The accounts whose queues each writer so far was given."""
    return [note.split(" ")[-1] for note in rig.notes() if note.startswith("writer start")]


def test_order_of_start_and_stop(rig):
    children = [rig.paper(), rig.writer(), rig.worker("a", needs_paper=True), rig.worker("b")]
    supervisor = rig.start(*children, is_new=True, heartbeat_timeout=10.0, warnings=["account zoe is left behind"])
    status = rig.status()
    told = [(alert["level"], alert["child"], alert["text"]) for alert in status["alerts"]]
    assert told == [("WARNING", "supervisor", "account zoe is left behind")]
    assert status["format"] == 1
    assert status["health"] == "healthy", status["reasons"]
    assert [row["process"]["state"] for row in status["accounts"]] == ["RUNNING", "RUNNING"]
    children = [row["process"]["pid"] for row in (*status["accounts"], status["writer"], status["paper"])]
    heaps = {psutil.Process(pid).environ().get("MALLOC_ARENA_MAX") for pid in children}
    assert heaps == {"1"}, "one for all threads of a child"
    assert status["accounts"][0]["strategies"] == [
        {"strat_id": "s1", "symbol": "BTCUSDT", "mode": "live", "state": None}
    ]
    wait_for(lambda: any(note.startswith("a got ack") for note in rig.notes()), "an acknowledgement")
    with rig.client() as client:
        client.stop(mode="cancel")
        assert client.wait_closed(30)
    assert supervisor.wait(10) == 0
    rig.nothing_left()
    notes = rig.notes()
    first = {name: next(i for i, n in enumerate(notes) if n.startswith(f"{name} start")) for name in ("paper", "a")}
    assert first["paper"] < first["a"]
    assert any(note.startswith("a start") and note.endswith("http://127.0.0.1:4242") for note in notes)
    assert any(note.startswith("b start") and note.endswith("None") for note in notes)
    assert {"a got stop cancel", "b got stop cancel"} <= set(notes)
    ends = [note for note in notes if note.endswith(" end")]
    assert sorted(ends[:2]) == ["a end", "b end"]
    assert ends[2:] == ["writer end", "paper end"]
    assert not (rig.data_dir / "control.sock").exists()


def test_twenty_crashes_of_one_account_do_not_touch_the_writer_or_another_account(rig):
    """Each death of a worker restarted the writer, for a new queue."""
    rig.start(rig.writer(), rig.worker("a", policy={"max_restarts": 100, "backoff_max": 0.01}), rig.worker("b"))
    b, writer = rig.process_of("b"), rig.process_of("writer")
    for number in range(20):
        a = rig.process_of("a")
        kill(a)
        wait_for(lambda n=number: rig.process_of("a")["restarts"] == n + 1, "a's return")
        wait_for(lambda: rig.process_of("a")["state"] == "RUNNING", "a")
    assert rig.process_of("a")["pid"] != a["pid"]
    assert "SIGKILL (kill -9" in rig.process_of("a")["last_exit"]
    assert rig.process_of("b")["pid"] == b["pid"]
    assert rig.process_of("writer")["pid"] == writer["pid"]
    before = rig.status()["writer"]["rows"]
    wait_for(lambda: rig.status()["writer"]["rows"] > before, "records")
    assert queues_of_writers(rig) == ["a,b"]
    assert rig.account("a")["records"] == "queue"


def test_a_killed_writer_goes_on_with_the_queues(rig):
    """It came back without them: they might have been spoilt."""
    rig.start(rig.writer(policy={"first_at_once": True}), rig.worker("a"))
    a = rig.process_of("a")
    kill(rig.process_of("writer"))
    wait_for(lambda: rig.process_of("writer")["restarts"] == 1, "the writer's return")
    wait_for(lambda: rig.status()["writer"]["committed"].get("a"), "records by queue")
    assert rig.process_of("a")["pid"] == a["pid"]
    assert queues_of_writers(rig) == ["a", "a"]
    assert rig.account("a")["records"] == "queue"


def test_without_a_writer_the_records_are_in_the_journal(rig):
    rig.start(rig.writer(entry="crashing_paper", policy={"max_restarts": 0}), rig.worker("a"))
    assert rig.process_of("writer")["state"] == "FATAL"
    assert rig.account("a")["records"] == "journal"


def test_a_hanging_worker_is_killed_and_its_stack_kept(rig):
    rig.start(rig.writer(), rig.worker("a", "hanging", policy={"heartbeat_timeout": 0.5}), rig.worker("b"))
    wait_for(lambda: rig.process_of("a")["restarts"] >= 1, "the restart of a hanging worker")
    pid = next(int(note.split(" ")[2]) for note in rig.notes() if note.startswith("a start"))
    wait_for(lambda: psutil.pid_exists(pid) is False, "the end of the hanging one")
    assert "no heartbeat (no report for " in rig.log()
    assert "in hanging" in (rig.data_dir / "logs" / "crash.log").read_text()
    assert rig.process_of("b")["restarts"] == 0


def test_a_crash_loop_ends_fatal_for_one_child_only(rig):
    rig.start(rig.writer(), rig.worker("a", "crashing", args=[]), rig.worker("b"))
    wait_for(lambda: rig.process_of("a")["state"] == "FATAL", "the end of a's restarts")
    failed = rig.process_of("a")
    assert failed["restarts"] == 5
    assert "the wheel came off" in failed["reason"]
    assert "6 times" in failed["reason"]
    status = rig.status()
    assert status["health"] == "degraded"
    assert any("worker-a is FATAL" in reason for reason in status["reasons"])
    assert any(alert["level"] == "CRITICAL" and alert["child"] == "worker-a" for alert in status["alerts"])
    assert rig.process_of("b")["state"] == "RUNNING"
    crash_log = (rig.data_dir / "logs" / "crash.log").read_text()
    assert "in crashing" in crash_log
    assert crash_log.count("came off of one that took over") == 1, "the second one in a row reads everything itself"
    assert "Traceback" not in rig.log()
    with rig.client() as client:
        assert client.request("restart", child="a")["child"] == "worker-a"
    assert rig.process_of("a")["state"] != "FATAL"


def test_exit_codes_of_workers(rig):
    rig.start(
        rig.writer(),
        rig.worker("config", "exits", args=[4]),
        rig.worker("refused", "exits", args=[7], policy={"backoff_initial": 60.0, "backoff_max": 60.0}),
    )
    assert rig.process_of("config")["state"] == "FATAL"
    refused = rig.process_of("refused")
    assert refused["state"] == "BACKOFF"
    assert refused["next_start_s"] > 0
    assert "refused to start" in refused["reason"]


def test_children_follow_a_killed_supervisor(rig):
    supervisor = rig.start(
        rig.paper(), rig.writer(), rig.worker("a"), rig.worker("deaf", "deaf"), rig.worker("stuck", "hanging")
    )
    assert len(rig.seen) == 5
    rig.fork_server()
    supervisor.kill()
    supervisor.wait()
    rig.nothing_left()
    assert any(note.startswith("a orphaned") or note == "a end" for note in rig.notes())
    # and the next one finds the way free: the lock, and a socket nobody listens on
    assert (rig.data_dir / "control.sock").exists()
    rig.start(rig.writer(), rig.worker("a"))
    assert rig.status()["health"] == "healthy"


def test_a_killed_fork_server_costs_nobody_anything(rig):
    rig.start(rig.writer(), rig.worker("a"), rig.worker("b", policy={"first_at_once": True}))
    before = {name: rig.process_of(name)["pid"] for name in ("a", "b", "writer")}
    first = rig.fork_server()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: "the process that forks the others killed by SIGKILL" in rig.log(), "the news")
    kill(rig.process_of("b"))
    wait_for(lambda: rig.process_of("b")["restarts"] == 1, "b's return")
    wait_for(lambda: rig.process_of("b")["state"] == "RUNNING", "b")
    assert "SIGKILL (kill -9" in rig.process_of("b")["last_exit"]
    assert {name: rig.process_of(name)["pid"] for name in ("a", "writer")} == {n: before[n] for n in ("a", "writer")}
    assert rig.fork_server() != first
    told = [alert["text"] for alert in rig.status()["alerts"] if alert["child"] == "supervisor"]
    assert len(told) == 1
    with rig.client() as client:
        client.stop()
        assert client.wait_closed(20)
    rig.nothing_left()


def test_a_second_supervisor_is_refused(rig):
    first = rig.start(rig.writer())
    second = rig.launch(rig.writer())
    assert second.wait(20) == 7
    assert f"another gridbot-supervisor (pid {first.pid}) already works in {rig.data_dir}" in rig.log()
    assert rig.status()["supervisor"]["pid"] == first.pid


def test_a_deaf_worker_is_killed_at_the_deadline(rig):
    supervisor = rig.start(rig.writer(), rig.worker("a"), rig.worker("deaf", "deaf", policy={"stop_timeout": 0.5}))
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(20) == 0
    rig.nothing_left()
    assert "worker-deaf: did not stop in time; it is killed" in rig.log()
    assert rig.notes()[-1] == "writer end"


def test_a_second_signal_ends_all_by_force(rig):
    supervisor = rig.start(rig.writer(), rig.worker("deaf", "deaf", policy={"stop_timeout": 600.0}))
    supervisor.send_signal(signal.SIGHUP)
    supervisor.send_signal(signal.SIGINT)
    wait_for(lambda: "a second one ends everything by force" in rig.log(), "the first signal")

    def forced() -> bool:  # the same request twice within a moment counts once, so insist
        if "stopping by force" in rig.log():
            return True
        supervisor.send_signal(signal.SIGTERM)
        return False

    wait_for(forced, "the second signal to be taken for one")
    assert supervisor.wait(20) == 130
    rig.nothing_left()
    assert "SIGHUP received and ignored" in rig.log()


def test_sigusr1_asks_every_process_where_it_is_and_sigusr2_nothing(rig):
    """Both ended them, as nobody had said otherwise; and so did many at once, or one at a bad moment."""
    supervisor = rig.start(rig.writer(), rig.worker("a"))
    status = rig.status()
    rows = [row["process"] for row in (*status["accounts"], status["writer"])]
    forks = rig.fork_server()
    for pid in (supervisor.pid, forks, *(row["pid"] for row in rows)):
        os.kill(pid, signal.SIGUSR2)
        for _ in range(1000):
            os.kill(pid, signal.SIGUSR1)
    crash_log = rig.data_dir / "logs" / "crash.log"
    asked = {f"(pid {pid}) is here" for pid in (supervisor.pid, *(row["pid"] for row in rows))}
    wait_for(lambda: all(each in crash_log.read_text() for each in asked), "the stacks of all of them")
    assert rig.fork_server() == forks
    os.kill(supervisor.pid, signal.SIGTERM)
    assert supervisor.wait(20) == 0
    assert "killed" not in rig.log()
    assert [row["restarts"] for row in rows] == [0, 0]


def test_ctrl_c_in_the_terminal_reaches_the_supervisor_only(rig):
    supervisor = rig.start(rig.writer(), rig.worker("a"))
    os.killpg(supervisor.pid, signal.SIGINT)
    assert supervisor.wait(20) == 0
    rig.nothing_left()
    assert "a got stop keep" in rig.notes()
    assert "KeyboardInterrupt" not in rig.log()


def test_a_lost_paper_exchange_returns_on_its_port(rig):
    rig.start(
        rig.paper(policy={"first_at_once": True}),
        rig.writer(),
        rig.worker("a", needs_paper=True),
    )
    a = rig.process_of("a")
    kill(rig.process_of("paper"))
    wait_for(lambda: rig.process_of("paper")["restarts"] == 1, "the exchange's return")
    wait_for(lambda: rig.process_of("paper")["state"] == "RUNNING", "the exchange")
    assert [n.split(" ")[-1] for n in rig.notes() if n.startswith("paper start")] == ["4242", "4242"]
    assert rig.process_of("a")["pid"] == a["pid"]
    assert "the orders, positions and balances of its accounts" in rig.log()


def test_a_paper_exchange_with_a_state_file_has_lost_nothing(rig):
    """Its orders were told to be gone although they were in the file."""
    rig.start(rig.paper(keeps_state=True, policy={"first_at_once": True}), rig.writer())
    kill(rig.process_of("paper"))
    wait_for(lambda: rig.process_of("paper")["restarts"] == 1, "the exchange's return")
    wait_for(lambda: rig.process_of("paper")["state"] == "RUNNING", "the exchange")
    assert "balances of its accounts" not in rig.log()


def test_a_stop_says_who_had_to_be_killed(rig):
    """It said "in order"."""
    supervisor = rig.start(rig.writer(), rig.worker("a"), rig.worker("deaf", "deaf"), stop_timeout=0.5)
    said = stop_supervisor(rig.data_dir, timeout=30, force=False, mode=None)
    assert "s; worker-deaf did not stop in time and was killed; nothing is left running" in said
    assert "in order" not in said
    assert supervisor.wait(10) == 0


def test_a_stop_that_some_account_did_not_carry_out_ends_with_a_code_of_its_own(rig):
    supervisor = rig.start(rig.writer(), rig.worker("a"), rig.worker("deaf", "deaf"), stop_timeout=0.5)
    with pytest.raises(CommandError) as failed:
        stop_supervisor(rig.data_dir, timeout=30, force=False, mode="cancel")
    assert failed.value.code == ExitCode.PARTLY
    [ended, left] = failed.value.text.splitlines()
    assert "worker-deaf did not stop in time and was killed" in ended
    assert left.startswith("! worker-deaf: it was killed before its end, so `cancel` was not carried out")
    assert supervisor.wait(10) == 0


def test_a_stop_of_those_who_obey_is_in_order(rig):
    rig.start(rig.writer(), rig.worker("a"))
    said = stop_supervisor(rig.data_dir, timeout=30, force=False, mode=None)
    assert said.startswith("stopped in order in ")


def test_accounts_elsewhere_do_not_wait_for_the_paper_exchange(rig):
    rig.start(
        rig.paper("crashing_paper", policy={"max_restarts": 0}),
        rig.writer(),
        rig.worker("a", needs_paper=True),
        rig.worker("live"),
    )
    assert rig.process_of("paper")["state"] == "FATAL"
    assert "the orders, positions and balances of its accounts" not in rig.log(), "it never had any"
    assert rig.process_of("a")["state"] == "STOPPED"
    assert rig.process_of("live")["state"] == "RUNNING"


def test_the_end_of_a_replay_ends_the_session(rig):
    supervisor = rig.launch(
        rig.paper("finite_paper", ends_session=True), rig.writer(), rig.worker("a", needs_paper=True)
    )
    assert supervisor.wait(30) == 0
    assert rig.notes()[-1] == "writer end"


def test_commands_to_workers(rig):
    rig.start(rig.writer(), rig.worker("a"), rig.worker("b", "exits", args=[4]))
    with rig.client() as client:
        assert client.worker("a", "pause")["result"] == "done"
        with pytest.raises(Refused, match="bad is not good"):
            client.worker("a", "pause", {"strategy": "bad"})
        with pytest.raises(Unanswered, match="pause was not carried out: the worker of a did not take it"):
            client.worker("a", "pause", {"strategy": "silence"}, wait_s=0.05)
        with pytest.raises(Refused, match="no account 'zoe' here, only a, b"):
            client.worker("zoe", "pause")
        with pytest.raises(Unanswered, match="pause was not carried out: the worker of b is FATAL"):
            client.worker("b", "pause")
        with pytest.raises(
            Refused,
            match="resume, reconcile, correct or adopt, got 'puase'; did you mean pause",
        ):
            client.worker("a", "puase")
        with pytest.raises(Refused, match="expected strategy, reason or cancel as an argument of pause, got 'cancle'"):
            client.worker("a", "pause", {"cancle": True})
        with pytest.raises(Refused, match="expected a mode of keep, cancel, flatten, got 'sell'"):
            client.stop(mode="sell")
        with pytest.raises(Refused, match="unknown request 'dance'"):
            client.request("dance")
        client.worker("a", "pause", {"strategy": "alert"})
        wait_for(lambda: any(alert["text"] == "look here" for alert in client.status()["alerts"]), "the alert")
        assert client.ping()["state"] == "running"


def test_the_socket_is_private_and_works_below_any_path(rig):
    """The kernel takes about 100 bytes of a socket's path."""
    rig.data_dir = rig.data_dir / ("deep" * 30) / ("deeper" * 30)
    rig.start(rig.writer())
    path = rig.data_dir / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    wait_for(lambda: path.exists() and rig.status_or_none(), "another socket")
    with rig.client() as client:
        client.stop()
        assert client.wait_closed(20)
    wait_for(lambda: not path.exists(), "the end of the socket")


def test_a_failing_loop_backs_off_and_recovers(tmp_path, monkeypatch):
    pauses: list[float] = []
    loop = asyncio.new_event_loop()
    monkeypatch.setattr(loop, "call_later", lambda pause, *call: pauses.append(pause))
    supervisor = Supervisor(Plan(tmp_path, ()))
    with monkeypatch.context() as broken:
        broken.setattr(supervisor, "_tend", lambda: 1 / 0)
        for _ in range(7):
            supervisor._tick(loop)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    supervisor.stop()
    supervisor._tick(loop)
    assert len(pauses) == 7, "finished: there is nothing to stop"
    loop.close()


def test_an_odd_message_costs_nothing_but_itself(rig):
    rig.start(rig.writer(), rig.worker("a", "odd"))
    assert rig.process_of("a")["restarts"] == 0
    assert "worker-a: taking in a message of type 'held' failed" in rig.log()
    [alert] = [alert for alert in rig.status()["alerts"] if alert["child"] == "supervisor"]
    assert "taking in a message of type 'held' failed: " in alert["text"]
    assert "unknown type 'poem'" in rig.log()
