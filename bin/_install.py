"""The slow way of bin/_bootstrap: make the virtual environment and install gridbot into it, one process at a time.

    python _install.py ROOT VENV PYTHON base|dev STAMP

Runs on the machine's own Python with nothing but the standard library. Progress goes to stdout (the caller sends it to
stderr), on a terminal as a line that is written over. What pip says goes to `install.log` in the environment, and its
last lines to stdout when it fails. The stamp file is written last; `.gridbot-installing` lies in the environment while
pip works, so an install that was interrupted is recognised and begun afresh.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

STAMP = ".gridbot-installed"
UNFINISHED = ".gridbot-installing"
LOG = "install.log"
TEMPORARY = ".gridbot-pip"
"""Where pip unpacks: what a killed one leaves goes with the environment, and the machine's own place may be full."""
SHOWN_LINES = 15
"""Last lines of pip's that are shown when it fails."""


def say(text: str) -> None:
    print(f"gridbot: {text}", flush=True)


def run(*command: str | Path) -> bool:
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, check=False).returncode == 0


def run_pip(venv: Path, *arguments: str | Path) -> bool:
    """Run pip, show which package it is at, and keep all that it says."""
    command = [venv / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-color", *arguments]
    is_terminal = sys.stdout.isatty()
    last: deque[str] = deque(maxlen=SHOWN_LINES)
    temporary = venv / TEMPORARY
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    with (
        (venv / LOG).open("w", encoding="utf-8") as log,
        subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "TMPDIR": str(temporary)},
        ) as pip,
    ):
        for line in pip.stdout or ():
            log.write(line)
            last.append(line.rstrip())
            if is_terminal:
                show(line.split())
    shutil.rmtree(temporary, ignore_errors=True)
    if is_terminal:
        print("\r\033[K", end="", flush=True)
    if pip.returncode:
        print("\n".join(last))
        say(f"all that pip said is in {venv / LOG}")
    return pip.returncode == 0


def show(words: list[str]) -> None:
    """The progress line: what pip is at."""
    if len(words) > 1 and words[0] in {"Collecting", "Downloading", "Installing", "Building"}:
        text = f"gridbot: {words[0].lower()} {'packages' if words[0] == 'Installing' else words[1]}"
        print(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)


def satisfied(venv: Path, extra: str, stamp: str) -> bool:
    """Whether somebody else finished while we waited. An environment with `dev` serves for `base` too."""
    try:
        have = (venv / STAMP).read_text(encoding="utf-8").strip()
    except OSError:
        return False
    return have == stamp or (extra == "base" and have == stamp.removesuffix("base") + "dev")


def usable(venv: Path) -> bool:
    """Whether an environment that is already there can be installed into."""
    if (venv / UNFINISHED).exists():
        say(f"an earlier install into {venv} was interrupted: beginning afresh")
        return False
    python = venv / "bin" / "python"
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return python.exists() and subprocess.run([python, "-c", probe], capture_output=True, check=False).returncode == 0


def install(root: Path, venv: Path, python: str, extra: str, stamp: str) -> int:
    began = time.monotonic()
    if not usable(venv):
        say(f"making {venv} with Python {sys.version.split()[0]} ({python})")
        if not run(python, "-m", "venv", "--clear", venv):
            say(
                f"could not make {venv}: expected a directory that can be written, see above; clone gridbot to a place "
                "of your own, or have the owner of this one run bin/gridbot-supervisor once"
            )
            return 1
    (venv / STAMP).unlink(missing_ok=True)
    (venv / UNFINISHED).touch()
    say("installing packages (about a minute the first time)")
    target = str(root) if extra == "base" else f"{root}[{extra}]"
    wanted = ("--constraint", root / "constraints.txt", "--editable", target)
    if not run_pip(venv, "install", "--no-input", "--progress-bar", "off", *wanted):
        say("the install failed; see pip's lines above, and start again when the cause is gone (is there a network?)")
        return 1
    (venv / STAMP).write_text(stamp + "\n", encoding="utf-8")
    (venv / UNFINISHED).unlink()
    say(f"installed in {time.monotonic() - began:.0f} s")
    return 0


def main(arguments: list[str]) -> int:
    root, venv = Path(arguments[0]), Path(arguments[1])
    python, extra, stamp = arguments[2:]
    with (root / "pyproject.toml").open("rb") as lock:  # the lock goes with the process, however it ends
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is installing; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        return 0 if satisfied(venv, extra, stamp) else install(root, venv, python, extra, stamp)


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)  # a caller's packages must not stand in for installed ones
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("interrupted; the next start repairs the environment")
        sys.exit(130)
