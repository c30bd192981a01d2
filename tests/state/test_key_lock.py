"""Real processes that want the same API key: one has it, wherever their homes and temporary directories are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gridbot.state import key_lock as module
from gridbot.state import key_socket, lock_directory
from gridbot.state.key_lock import KeyBusy, KeyRefused, KeyShare, key_holder, key_lock

HOLDER = """
import os, sys
from gridbot.state import key_lock
if "without socket" in sys.argv[2:]:
    key_lock.take_socket = lambda name: None
share = next((key_lock.KeyShare(*each.split("/")) for each in sys.argv[2:] if "/" in each), None)
with key_lock.key_lock(sys.argv[1], "paper", share):
    print(os.getpid(), flush=True)
    sys.stdin.readline()
"""
# What a worker of the version before did.
EARLIER = """
import fcntl, hashlib, os, sys, tempfile
from pathlib import Path
directory = Path(tempfile.gettempdir()) / f"gridbot-keys-{os.getuid()}"
directory.mkdir(mode=0o700, exist_ok=True)
name = hashlib.sha256(f"paper {sys.argv[1]}".encode()).hexdigest()[:24]
descriptor = os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
try:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(f"busy {os.pread(descriptor, 32, 0).decode().strip()}")
os.ftruncate(descriptor, 0)
os.pwrite(descriptor, f"{os.getpid()}\\n".encode(), 0)
print(os.getpid(), flush=True)
sys.stdin.readline()
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our own state home and temporary directory; short waits."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(key_socket, "_RETRY_S", 0.001)
    monkeypatch.setattr(lock_directory, "_RETRY_S", 0.001)
    return tmp_path


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a process and wait until it has printed its pid."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *args: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *args], env={**os.environ, **environment}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def without_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "take_socket", lambda name: None)


def files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "state" / "gridbot" / "keys").iterdir())


def assert_busy(key: str, process: subprocess.Popen[str]) -> None:
    expected = (
        f"^expected to be the only process that trades with this API key, but process {process.pid} does; stop it, or "
        "give each account a key of its own$"
    )
    with pytest.raises(KeyBusy, match=expected), key_lock(key, "paper"):
        pass


def test_one_process_per_key_and_scope(start: Start, key: str, home: Path) -> None:
    process = start(HOLDER, key)
    assert_busy(key, process)
    with key_lock(key, "mainnet"), key_lock(f"{key}-other", "paper"):
        assert len(files(home)) == 3
    process.communicate("\n")
    with key_lock(key, "paper"):
        assert not any(key in name for name in files(home)), "a key never reaches the file system"
    assert files(home) == []


def test_a_killed_process_frees_its_key_and_its_file_goes_with_the_next(start: Start, key: str, home: Path) -> None:
    process = start(HOLDER, key)
    process.kill()
    process.wait()
    assert len(files(home)) == 1
    with key_lock(key, "paper"):
        pass
    assert files(home) == []


def test_what_is_locked_is_removed_when_trading_fails(key: str, home: Path) -> None:
    with pytest.raises(ZeroDivisionError), key_lock(key, "paper"):
        assert 1 / 0
    with key_lock(key, "paper"):
        pass
    assert files(home) == []


def test_the_file_excludes_where_sockets_are_not_shared(start: Start, key: str, home: Path, monkeypatch) -> None:
    """As between two containers that have a home in common, each with its own network and temporary directory."""
    (home / "other tmp").mkdir()
    process = start(HOLDER, key, "without socket", TMPDIR=str(home / "other tmp"))
    without_socket(monkeypatch)
    assert_busy(key, process)


def test_the_socket_excludes_where_homes_are_not_shared(start: Start, key: str, home: Path) -> None:
    """As between a service with its own environment and an operator's shell."""
    (home / "other tmp").mkdir()
    process = start(HOLDER, key, XDG_STATE_HOME=str(home / "other"), TMPDIR=str(home / "other tmp"))
    assert_busy(key, process)


@pytest.mark.parametrize("place", ["no directory", "unset"])
def test_without_a_home_the_socket_excludes(start: Start, key: str, home: Path, monkeypatch, caplog, place) -> None:
    if place == "unset":
        monkeypatch.delenv("XDG_STATE_HOME")
        monkeypatch.delenv("HOME", raising=False)
        monkeypatch.setattr(module, "_home_of_user", lambda: "")
    else:
        (home / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(home / "file"))
    (home / "other tmp").mkdir()
    process = start(HOLDER, key, TMPDIR=str(home / "other tmp"))
    assert_busy(key, process)
    process.communicate("\n")
    with key_lock(key, "paper"):
        assert "the API key is locked without a file: " in caplog.text
    monkeypatch.setattr(module, "take_socket", lambda name: None)
    wanted = "expected a directory for the lock of this API key, got: .*; set XDG_STATE_HOME to one that this user can"
    with pytest.raises(KeyRefused, match=wanted), key_lock(key, "paper"):
        pass


H1, H2, OTHERS = KeyShare("night", "h1"), KeyShare("night", "h2"), KeyShare("day", "h1")


@pytest.mark.parametrize("seen_by", ["all", "the file", "the socket"])
def test_hosts_of_one_fleet_share_a_key_and_nobody_else_has_it_beside_them(
    start: Start, key: str, home: Path, monkeypatch, seen_by: str
) -> None:
    """The lease keeps hosts apart, and a frozen one must not keep the others from its accounts. All others ask none."""
    (home / "other tmp").mkdir()
    where = {"all": {}, "the file": {"TMPDIR": str(home / "other tmp")}}.get(
        seen_by, {"TMPDIR": str(home / "other tmp"), "XDG_STATE_HOME": str(home / "other")}
    )
    process = start(HOLDER, key, "night/h1", *(["without socket"] if seen_by == "the file" else []), **where)
    if seen_by == "the file":
        without_socket(monkeypatch)
    pid = str(process.pid)
    assert key_holder(key, "paper", H2) == ""
    assert key_holder(key, "paper", H1) == pid, "an earlier process of the same host"
    assert key_holder(key, "paper", OTHERS) == pid
    assert key_holder(key, "paper") == pid
    assert key_holder(f"{key}-other", "paper", H1) == ""
    with key_lock(key, "paper", H2):
        assert key_holder(key, "paper") in (pid, str(os.getpid()))
        process.communicate("\n")
        assert key_holder(key, "paper") == str(os.getpid())
        assert key_holder(key, "paper", H1) == ""
    assert key_holder(key, "paper") == ""
    assert files(home) == []


def test_who_has_a_key_alone_keeps_every_host_of_a_fleet_from_it(
    start: Start, key: str, home: Path, monkeypatch
) -> None:
    assert key_holder(key, "paper", H1) == key_holder(key, "paper") == ""
    process = start(HOLDER, key)
    assert key_holder(key, "paper", H1) == str(process.pid)
    process.communicate("\n")
    (home / "other tmp").mkdir()
    elsewhere = start(HOLDER, key, XDG_STATE_HOME=str(home / "other"), TMPDIR=str(home / "other tmp"))
    assert key_holder(key, "paper", H1) == str(elsewhere.pid), "by its socket"
    elsewhere.communicate("\n")
    earlier = start(EARLIER, key)
    assert key_holder(key, "paper", H1) == str(earlier.pid)
    earlier.communicate("\n")
    with key_lock(key, "paper", H1):
        done = subprocess.run([sys.executable, "-c", EARLIER, key], capture_output=True, text=True, check=False)
    assert done.stderr.startswith("busy")


def test_the_state_home_is_found_without_variables(monkeypatch, home: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # does not count, says its specification
    monkeypatch.setenv("HOME", str(home))
    assert module._state_home() == home / ".local" / "state"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(module, "_home_of_user", lambda: "/home/of/passwd")
    assert module._state_home() == Path("/home/of/passwd/.local/state")


def test_a_worker_of_the_version_before_and_one_of_this_exclude_each_other(start: Start, key: str) -> None:
    earlier = start(EARLIER, key)
    assert_busy(key, earlier)
    earlier.communicate("\n")
    process = start(HOLDER, key)
    done = subprocess.run([sys.executable, "-c", EARLIER, key], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == f"busy {process.pid}"
    process.communicate("\n")
    earlier = start(EARLIER, key)
    assert_busy(key, earlier)


def test_without_any_temporary_directory_the_other_locks_count(key: str, home: Path, monkeypatch, caplog) -> None:
    """On a read-only machine the worker ended with an unexpected error, again and again."""
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", lambda: [str(home / "no such place")])
    with key_lock(key, "paper"):
        assert "the lock of earlier versions cannot be used" in caplog.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of another user")
def test_a_directory_of_another_user_does_not_block(key: str, home: Path, caplog) -> None:
    squatted = home / "tmp" / f"gridbot-keys-{os.getuid()}"
    squatted.mkdir()
    os.chown(squatted, 12345, -1)
    with key_lock(key, "paper"):
        assert len(files(home)) == 1
    assert "the lock of earlier versions cannot be used, a worker of one would not be noticed: expected" in caplog.text
    assert "got uid 12345" in caplog.text


def test_something_else_in_the_place_of_the_earlier_lock_does_not_block(key: str, home: Path, caplog) -> None:
    (home / "tmp" / f"gridbot-keys-{os.getuid()}").symlink_to(home)
    with key_lock(key, "paper"):
        assert len(files(home)) == 1
    assert "the lock of earlier versions cannot be used" in caplog.text


def test_a_socket_of_another_user_does_not_block(key: str, home: Path, monkeypatch, caplog) -> None:
    def taken(name: str) -> None:
        raise key_socket.ForeignHolder("process 7 of uid 12345")

    monkeypatch.setattr(module, "take_socket", taken)
    with key_lock(key, "paper"):
        assert len(files(home)) == 1
    assert "is taken by process 7 of uid 12345; only the lock file counts" in caplog.text
