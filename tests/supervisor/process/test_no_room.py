"""No room on the machine, and what somebody removed below us: everything waits, nothing is given up, force ends it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from supervisor.children.child import Child
from supervisor.children.launch_plan import Plan
from supervisor.children.policy_types import ProcessState
from supervisor.cli.patient_client import PatientClient
from supervisor.cli.stop import in_words
from supervisor.control.control_server import ControlServer
from supervisor.exit_codes import ExitCode
from supervisor.process.loop import FORCE_S, Supervisor
from tests.supervisor.conftest import wait_for
from tests.supervisor.process.test_own_faults import WORKERS, Bench


def small_disk(place: Path, size: str) -> None:
    """A file system of its own; the test is skipped where we may not mount one."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes=100", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"not allowed here: {' '.join(command)}: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    place = tmp_path / "disk"
    small_disk(place, "256k")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take all the room there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def test_a_full_disk_and_a_death_are_a_wait_and_all_runs_when_there_is_room(rig, disk):
    """`alice FATAL` for ever: six restarts within ten minutes, each for want of room."""
    rig.data_dir = disk / "data"
    rig.start(
        rig.writer(),
        rig.worker("a", "disk_worker", args=[str(rig.notes_path), str(disk)]),
        rig.worker("b"),
        backoff_initial=0.01,
    )
    b = rig.process_of("b")
    filler = fill(disk)
    (disk / "a").unlink()
    with filler.open("ab", buffering=0) as file:
        file.write(b"x" * 65536)
    os.kill(rig.process_of("a")["pid"], signal.SIGKILL)
    row = wait_for(lambda: (row := rig.process_of("a"))["restarts"] > 8 and row, "more tries than are allowed")
    assert row["state"] != "FATAL"
    wait_for(lambda: "waits for room" in rig.process_of("a")["reason"], "the reason")
    assert "No space left on device" in rig.process_of("a")["last_exit"]
    assert [a["text"] for a in rig.status()["alerts"] if "until there is room" in a["text"]] != []
    assert len([a for a in rig.status()["alerts"] if "until there is room" in a["text"]]) == 1
    filler.unlink()
    wait_for(lambda: rig.process_of("a")["state"] == "RUNNING", "a, when there is room")

    def ended() -> bool:  # files of the supervisor's own that found no room have incidents of their own
        return any(a["level"] == "INFO" and "waits for room" in a["text"] for a in rig.status()["alerts"])

    wait_for(ended, "the end of the incident")
    assert rig.process_of("b")["pid"] == b["pid"]


def test_a_first_start_on_a_disk_without_room_for_the_crash_log_is_no_crash(rig, disk):
    """The very first code of a child opened its crash log, and ended with exit code 1 when it could not."""
    rig.data_dir = disk / "data"
    rig.start(rig.writer(), rig.worker("a"))
    shutil.rmtree(rig.data_dir / "logs")
    with contextlib.suppress(OSError):
        while True:  # no file can be made any more
            (disk / f"filler-{len(os.listdir(disk))}").touch()
    os.kill(rig.process_of("a")["pid"], signal.SIGKILL)
    wait_for(lambda: rig.process_of("a")["restarts"] == 1, "another process")
    wait_for(lambda: rig.process_of("a")["state"] == "RUNNING", "a without a crash log")
    assert not (rig.data_dir / "logs").exists()


def test_a_full_dev_shm_keeps_nobody_from_starting_or_ending(rig, tmp_path):
    """Semaphores of queues were made there: a spawn failed, its handler too, and `stop --force` never ended."""
    script = (
        "mount -t tmpfs -o size=4k tmpfs /dev/shm && dd if=/dev/zero of=/dev/shm/full bs=4k count=1 2>/dev/null; "
        'exec "$0" "$@"'
    )
    within = ["unshare", "--mount", "sh", "-c", script]
    tried = subprocess.run([*within, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"not allowed here: {' '.join(within)}: {tried.stderr.strip()}")
    supervisor = rig.start(rig.writer(), rig.worker("a"), within=within)
    wait_for(lambda: rig.status()["health"] == "healthy", "health")
    os.kill(rig.process_of("a")["pid"], signal.SIGKILL)
    wait_for(lambda: rig.process_of("a")["restarts"] == 1, "another process")
    wait_for(lambda: rig.process_of("a")["state"] == "RUNNING", "a")
    wait_for(lambda: rig.status()["health"] == "healthy", "health")
    with rig.client() as client:
        client.stop(force=True)
    assert supervisor.wait(20) == 130
    rig.nothing_left()


def test_children_start_although_our_working_directory_is_gone(rig, tmp_path):
    place = tmp_path / "deleted"
    place.mkdir()
    rig.start(rig.writer(), rig.worker("a"), cwd=place)
    place.rmdir()
    for name in ("a", "writer"):
        os.kill(rig.process_of(name)["pid"], signal.SIGKILL)
    for name in ("a", "writer"):
        wait_for(lambda n=name: rig.process_of(n)["restarts"] == 1, "another process")
        wait_for(lambda n=name: rig.process_of(n)["state"] == "RUNNING", name)


def remove_both(rig):
    (rig.data_dir / "control.sock").unlink()
    (rig.data_dir / "supervisor.lock").unlink()


def test_control_socket_and_lock_file_are_made_again(rig):
    """Neither status nor stop nor start worked any more."""
    supervisor = rig.start(rig.writer(), rig.worker("a"))
    with rig.client() as connected:
        connected.ping()
        (rig.data_dir / "control.sock").unlink()
        with PatientClient(rig.data_dir) as at_once:
            assert at_once.ping()["state"] == "running", "it runs, and nobody says that it does not"
        remove_both(rig)
        with PatientClient(rig.data_dir) as at_once:
            assert at_once.ping()["state"] == "running"
        assert connected.ping()["state"] == "running", "who was connected stays so"
    told = wait_for(lambda: [a["text"] for a in rig.status()["alerts"] if "somebody removed" in a["text"]], "the alert")
    assert told == [
        "somebody removed the control socket; made again",
        "somebody removed the lock file and the control socket; made again",
    ]
    frozen = rig.status()["supervisor"]["pid"]
    os.kill(frozen, signal.SIGSTOP)
    remove_both(rig)
    second = rig.launch(rig.writer())
    assert second.wait(20) == 7, "it started a second fleet, and took the socket"
    os.kill(frozen, signal.SIGCONT)
    wait_for(rig.status_or_none, "the first one's socket")
    assert rig.status()["supervisor"]["pid"] == frozen
    with rig.client() as client:
        client.stop()
        assert client.wait_closed(20)
    assert supervisor.wait(20) == 0
    assert not (rig.data_dir / "control.sock").exists()


def test_a_start_without_room_for_the_socket_makes_it_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor ended."""
    monkeypatch.setattr("supervisor.process.reachable.REACHABLE_S", 0.01)
    real, tries = ControlServer.open, itertools.count()

    async def opened(server: ControlServer) -> None:
        if next(tries) < 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await real(server)

    monkeypatch.setattr(ControlServer, "open", opened)

    async def run() -> list[str]:
        supervisor = Supervisor(Plan(tmp_path, ()))
        task = asyncio.create_task(supervisor.run())
        while not (tmp_path / "control.sock").exists():
            assert not task.done()
            await asyncio.sleep(0.01)
        texts = [alert["text"] for alert in supervisor.status()["alerts"]]
        supervisor.stop()
        assert await task is ExitCode.OK
        return texts

    assert [text.partition(" failed")[0] for text in asyncio.run(run())][:1] == ["making the control socket"]


def test_a_launch_that_fails_for_want_of_room_waits_and_force_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, monkeypatch, *WORKERS)

    def no_room(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Child, "launch", no_room)
    for _ in range(30):
        bench.ticks(1, 6.0)
    assert bench.states() == [ProcessState.BACKOFF, ProcessState.BACKOFF]
    texts = [alert["text"] for alert in bench.supervisor.status()["alerts"]]
    assert len([text for text in texts if "waits until there is room" in text]) == 2
    bench.supervisor.stop(force=True)
    assert bench.supervisor._finished.is_set()
    bench.loop.close()


def test_what_the_disk_did_not_take_is_told_to_who_waits_for_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "stopped in order": a pause that only this supervisor knew was gone, and nobody was told."""
    bench = Bench(tmp_path, monkeypatch, *WORKERS)
    child = next(iter(bench.supervisor._fleet))
    assert bench.supervisor._stopping.farewell() == {"ok": True, "killed": [], "unsaved": [], "left": []}
    child._take({"type": "bye", "reason": "stopped", "exit_code": 0, "unsaved": "the disk did not take it"})
    farewell = bench.supervisor._stopping.farewell()
    assert in_words(1.0, farewell, force=False).splitlines() == [
        "stopped in order in 1.0 s; nothing is left running",
        f"! {child.spec.name}: the disk did not take it",
    ]
    killed = {**farewell, "killed": ["a", "b"]}
    assert in_words(1.0, killed, force=False).startswith("stopped in 1.0 s; a, b did not stop in time and was killed; ")
    bench.loop.close()


def test_a_process_that_does_not_end_when_it_is_killed_does_not_hold_up_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as alive: nothing ever reported its end, and the loop waited for that."""
    bench = Bench(tmp_path, monkeypatch, *WORKERS)
    bench.ticks()
    bench.supervisor.stop(force=True)
    assert not bench.supervisor._finished.is_set()
    bench.ticks(1, FORCE_S)
    assert bench.supervisor._finished.is_set()
    bench.loop.close()
