"""`gridbot-supervisor init`: on a terminal, by options, with wrong answers, and on the ways out that write nothing."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import resource
import select
import shlex
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from supervisor.cli.check import check
from supervisor.cli.main import cli
from supervisor.exit_codes import CommandError, ExitCode

ROOT = Path(__file__).resolve().parents[3]
CONVERSATION = (
    ("Where to trade.*: ", "moon", "expected paper, demo, testnet or mainnet, got 'moon'"),
    ("Where to trade.*: ", "mainnet", ""),
    ("real money.*: ", "yes", "expected 'real money' or nothing, got 'yes'"),
    ("real money.*: ", "", ""),
    ("What to trade.*: ", "btc", "expected a USDT perpetual such as BTCUSDT, got `BTC`"),
    ("What to trade.*: ", "solusdt", ""),
    ("What it costs now.*: ", "", ""),
    ("Money in the account.*: ", "-5", "expected a number above zero, got '-5'"),
    ("Money in the account.*: ", "1", "expected at least"),
    ("Money in the account.*: ", "500", ""),
    ("Levels.*: ", "3", "expected a number at least 4, got `3`"),
    ("Levels.*: ", "10", ""),
    ("Percent between.*: ", "0.03", "expected a step of more than 0.04 percent"),
    ("Percent between.*: ", "", ""),
    ("Each order.*: ", "x9", "expected orders of at most"),
    ("Each order.*: ", "", ""),
    ("Where keys are.*: ", "my-secret-key", "expected variables or files"),
    ("Where keys are.*: ", "", ""),
)
"""What is asked, what is typed, and what is said of it when it is wrong."""


class Terminal:
    """The command as a process with a terminal of its own."""

    def __init__(self, *words: str, cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "supervisor", "init", *words],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def wait_asleep(self) -> None:
        """Until it does nothing but read."""
        deadline = time.monotonic() + 30
        while psutil.Process(self.process.pid).status() != psutil.STATUS_SLEEPING:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def until(self, pattern: str) -> str:
        """What is shown up to `pattern`; the rest is for the next time."""
        deadline = time.monotonic() + 30
        while not (found := re.search(pattern, self.shown, re.DOTALL)) and time.monotonic() < deadline:
            if not select.select([self._ours], [], [], 0.5)[0]:
                continue
            try:
                chunk = os.read(self._ours, 4096)
            except OSError:
                break
            self.shown += chunk.decode(errors="replace")
        assert found, f"{pattern} was not shown: {self.shown}"
        text, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return text


def test_a_conversation_with_wrong_answers_ends_with_a_file_that_check_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Terminal("mine.yaml", cwd=tmp_path) as terminal:
        for asked, typed, wrong in CONVERSATION:
            terminal.until(asked)
            assert not (tmp_path / "mine.yaml").exists()
            terminal.type(f"{typed}\n")
            if wrong:
                terminal.until(re.escape(wrong))
        told = terminal.until("start --detach -c mine.yaml")
        assert terminal.process.wait(30) == 0
    assert "it watches (shadow_mode: true): nothing is sent" in told
    assert "export MAIN_API_KEY=..." in told
    assert (tmp_path / "mine.yaml").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("MAIN_API_KEY", "k")
    monkeypatch.setenv("MAIN_API_SECRET", "s")
    checked = CliRunner().invoke(check, ["-c", str(tmp_path / "mine.yaml"), "--json"])
    assert checked.exit_code == 0, checked.output
    [account] = json.loads(checked.stdout)["accounts"]
    assert account == {"name": "main", "environment": "mainnet"}


@pytest.mark.parametrize(("key", "answers"), [("\x03", 1), ("\x04", 2)])
def test_ctrl_c_and_the_end_of_the_input_write_nothing(tmp_path: Path, key: str, answers: int) -> None:
    with Terminal("mine.yaml", cwd=tmp_path) as terminal:
        for _ in range(answers):
            terminal.until("]: ")
            terminal.type("\n")
        terminal.until("]: ")
        terminal.wait_asleep()  # Python does not notice a signal that comes just before it begins to read
        terminal.type(key)
        terminal.until("interrupted")
        assert terminal.process.wait(30) == ExitCode.FORCED
    assert list(tmp_path.iterdir()) == []


def init(*words: str) -> Result:
    return CliRunner().invoke(cli, ["init", *words])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GRIDBOT_CONFIG_PATH", "GRIDBOT_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_terminal_the_next_commands_work_as_they_are_said(tmp_path: Path) -> None:
    done = init("it's.yaml", "--json", "--symbol", "ETHUSDT", "--wallet", "2000")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["environment"], document["sends_orders"], document["warnings"]) == ("paper", True, [])
    program, *words = shlex.split(document["next"][0])
    assert program == "gridbot-supervisor"
    checked = CliRunner().invoke(cli, words)
    assert checked.exit_code == 0, checked.output
    assert "warning" not in checked.output
    assert shlex.split(document["next"][1])[1:] == ["doctor", "-c", "it's.yaml"]
    looked = CliRunner().invoke(cli, [*shlex.split(document["next"][1])[1:], "--offline"])
    assert "0 refused" in looked.output or "refused" not in looked.output, looked.output
    assert shlex.split(document["next"][2])[1:] == ["start", "--detach", "-c", "it's.yaml"]
    assert "'data-it''s'" in (tmp_path / "it's.yaml").read_text()


@pytest.mark.parametrize(
    "line",
    [
        line.removeprefix("bin/gridbot-supervisor ")
        for page in ("README.md", "docs/quick-start.md", "docs/templates.md", "conf/fleet.yaml")
        for line in (ROOT / page).read_text().splitlines()
        if line.startswith(("bin/gridbot-supervisor init", "bin/gridbot-supervisor config show"))
    ],
)
def test_the_lines_that_pages_show(tmp_path: Path, line: str) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "fleet.yaml").write_text((ROOT / "conf" / "fleet.yaml").read_text())
    done = CliRunner().invoke(cli, shlex.split(line))
    assert done.exit_code == 0, done.output


def test_where_the_file_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "wrote gridbot.yaml" in init().output
    (tmp_path / "conf").mkdir()
    assert "wrote conf/gridbot.yaml" in init("--data-dir", "there").output
    assert f"data_dir: '{tmp_path}/there'" in (tmp_path / "conf" / "gridbot.yaml").read_text()
    monkeypatch.setenv("GRIDBOT_CONFIG_PATH", "named.yaml")
    assert "wrote named.yaml" in init().output
    wrong = init("nowhere/x.yaml")
    assert (wrong.exit_code, "make it first" in wrong.output) == (2, True)
    assert not (tmp_path / "nowhere").exists(), "a mistyped directory is not made"


def test_a_file_that_is_there_stays_unless_it_is_forced(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("precious: true\n")
    with pytest.raises(CommandError, match="which is there; choose another, or say --force") as caught:
        CliRunner().invoke(cli, ["init", "mine.yaml"], catch_exceptions=False)
    assert caught.value.code == ExitCode.REFUSED
    assert (tmp_path / "mine.yaml").read_text() == "precious: true\n"
    assert init("mine.yaml", "--force", "--yes").exit_code == 0
    assert (tmp_path / "mine.yaml").stat().st_mode & 0o777 == 0o600
    assert "strategies:" in (tmp_path / "mine.yaml").read_text()
    (tmp_path / "real.yaml").write_text("precious: true\n")
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    assert init("link.yaml", "--force", "--yes").exit_code == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert "strategies:" in (tmp_path / "real.yaml").read_text()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CommandError, match="which is never replaced at pipe"):
        CliRunner().invoke(cli, ["init", "pipe", "--force"], catch_exceptions=False)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--environment testnet --symbol FOOUSDT",
            "expected --price and --wallet, got nothing, and there is no terminal",
        ),
        ("--environment moon", "--environment: expected paper, demo, testnet or mainnet, got 'moon'; choose one"),
        ("--levels many", "--levels: expected a whole number, got 'many'; write digits only"),
        ("--step 0.01", "--step: expected a step of more than 0.04 percent, got 0.01"),
        ("--amount 10", "--amount: expected whole steps of BTCUSDT, such as q0.001 (61.21 USDT), got 10"),
        ("--wallet 3", "--wallet: expected at least 31 USDT for BTCUSDT, whose smallest orders want that, got 3"),
        ("--account a/b", "--account: expected 1 to 32 letters, digits, _ or -"),
        ("--account {a:b}", "--account: expected 1 to 32 letters, digits, _ or -"),
        ("--symbol {BTC}USDT", "--symbol: expected a USDT perpetual such as BTCUSDT, got `{BTC}USDT`"),
        ('--amount "10', "--amount: expected x0.001 (fraction of the wallet), 100 (USDT) or q0.01 (coins)"),
        ("--environment demo --wallet 900 --keys sesame", "--keys: expected variables or files"),
        ("--data-dir $OOPS/x", "expected a path, with variables as ${NAME}"),
    ],
)
def test_options_are_checked_and_missing_ones_named(tmp_path: Path, options: str, said: str) -> None:
    done = init("mine.yaml", *options.split())
    assert done.exit_code == 2
    assert said in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [(), ("--real-money",)], ids=["watches", "sends"])
def test_real_money_needs_a_word_of_its_own(tmp_path: Path, more: tuple[str, ...]) -> None:
    live = ("--environment", "mainnet", "--wallet", "900", "--keys", "files")
    told = init("mine.yaml", *live, *more).output
    assert ("it watches" in told) is not more
    assert "export MAIN_API_SECRET_FILE=/path/of/its/file" in told
    assert f"shadow_mode: {'false' if more else 'true'} " in (tmp_path / "mine.yaml").read_text()


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["new", "forced"])
def test_a_full_disk_leaves_nothing_or_what_was_there(tmp_path: Path, force: tuple[str, ...]) -> None:
    if force:
        (tmp_path / "mine.yaml").write_text("before: 1\n")
    words = [sys.executable, "-m", "supervisor", "init", "mine.yaml", *force]

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done: Any = subprocess.run(
        words, cwd=tmp_path, env=environ, preexec_fn=little_room, capture_output=True, stdin=subprocess.DEVNULL
    )
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert b"expected a file that can be written, got: File too large at mine.yaml; make room there" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == (["mine.yaml"] if force else [])
    assert not force or (tmp_path / "mine.yaml").read_text() == "before: 1\n"
