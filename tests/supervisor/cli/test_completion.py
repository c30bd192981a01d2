"""The Tab key in real shells: what `gridbot-supervisor completion` prints is read by bash, zsh and fish themselves."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FLEET = """environment: paper
accounts:
- {name: alice, groups: [night]}
- {name: bob}
strategies:
- {strat_id: alice-btc, account: alice, symbol: BTCUSDT}
- {strat_id: alice-eth, account: alice, symbol: ETHUSDT}
"""
DEADLINE_S = 30.0
SCRIPT = 'eval "$(gridbot-supervisor completion {shell})"'
INTERACTIVE = {
    "bash": (["--norc", "--noprofile", "-i"], "bind 'set show-all-if-ambiguous on'\n"),
    "zsh": (["-f", "-i"], "unset zle_bracketed_paste; autoload -U compinit; compinit -u -D\n"),
}


def needed(shell: str) -> str:
    """The shell's path. Skips the test where it is not installed."""
    found = shutil.which(shell)
    if found is None:
        again = "bin/test tests/supervisor/cli/test_completion.py"
        pytest.skip(f"{shell} is not installed: `apt-get install {shell} && {again}` tries it")
    return found


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """That of a shell in which `gridbot-supervisor` is this code, and the configuration is `FLEET`; nothing runs."""
    program = tmp_path / "bin" / "gridbot-supervisor"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m supervisor "$@"\n')
    program.chmod(0o755)
    (tmp_path / "g.yaml").write_text(FLEET)
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "PS1": "READY ",
        "GRIDBOT_CONFIG_PATH": str(tmp_path / "g.yaml"),
        "GRIDBOT_DATA_DIR": str(tmp_path / "none"),
    }


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.shown = b""

    def type(self, text: str, until: bytes) -> bytes:
        """What the shell has shown since, as soon as `until` is in it."""
        self.shown = b""
        os.write(self._number, text.encode())
        end = time.monotonic() + DEADLINE_S
        while until not in self.shown:
            if time.monotonic() > end or not select.select([self._number], [], [], DEADLINE_S)[0]:
                pytest.fail(f"waited in vain for {until!r} after {text!r}, got {self.shown!r}")
            self.shown += os.read(self._number, 65536)
        return self.shown


@contextmanager
def on_terminal(command: list[str], environment: dict[str, str]) -> Iterator[Terminal]:
    pid, number = pty.fork()
    if not pid:
        os.chdir(environment["HOME"])
        os.execve(command[0], command, environment)
    try:
        yield Terminal(number)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(number)


@pytest.mark.parametrize("shell", INTERACTIVE)
def test_the_tab_key_completes_what_there_is(shell: str, environment: dict[str, str]) -> None:
    options, first = INTERACTIVE[shell]
    with on_terminal([needed(shell), *options], environment) as terminal:
        terminal.type(f"{first}{SCRIPT.format(shell=shell)}; echo is''-ready\n", b"is-ready")
        terminal.type("bin/gridbot-supervisor pause ali\t", b"pause alice")  # as the README types it
        terminal.type("/alice-b\t", b"alice-btc")
        assert b"alice-eth" not in terminal.shown
        terminal.type(" --group ni\t", b"night")


def test_fish_completes_what_there_is(environment: dict[str, str]) -> None:
    asked = [f'complete -C "gridbot-supervisor {line}"' for line in ("pause alice/", "resume --group n", "compl")]
    script = "; ".join(("gridbot-supervisor completion fish | source", *asked))
    done = subprocess.run(
        [needed("fish"), "--no-config", "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    words = [line.split("\t")[0] for line in done.stdout.splitlines()]
    assert words == ["alice/alice-btc", "alice/alice-eth", "night", "completion"], done.stderr
