"""docs/backtest-example.md: its commands, one after the other in a directory of their own, say what it shows."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from supervisor.cli.main import cli
from supervisor.exit_codes import ExitCode
from tests.backtest.example_day import FILES

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "conf" / "example"
PAGE = ROOT / "docs" / "backtest-example.md"
BLOCK = re.compile(r"^```sh\nbin/gridbot-supervisor (.*?)\n```\n\n```\n(.*?)^```", re.MULTILINE | re.DOTALL)
OF_THE_PROGRAM = re.compile(r" in [\d.]+ s \([\d,]+/s\), [\d,]+ looks|: \d+ kB")


def told(text: str, home: Path) -> str:
    """Without how fast it was, how often it looked, how large a page is, and where the checkout is."""
    return OF_THE_PROGRAM.sub("", text).replace(str(home), "/home/you/gridbot")


def test_the_commands_of_the_page_say_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "conf" / "example")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("GRIDBOT_PROGRAM", "bin/gridbot-supervisor")
    text = PAGE.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert [command.split()[0] for command, _ in blocks] == [
        *("data", "data", "backtest", "backtest", "backtest", "sql", "report", "compare")
    ]
    for command, shown in blocks:
        result = CliRunner().invoke(cli, shlex.split(command))
        if os.environ.get("GRIDBOT_WRITE_EXAMPLE"):  # for whoever changes what is said
            text = text.replace(f"{command}\n```\n\n```\n{shown}", f"{command}\n```\n\n```\n{result.stdout}", 1)
            PAGE.write_text(text.replace(str(tmp_path), "/home/you/gridbot"), encoding="utf-8")
            continue
        assert told(result.stdout, tmp_path) == told(shown, tmp_path), command
        assert result.exit_code == (ExitCode.DIFFERS if command.startswith("compare") else 0)


@pytest.mark.parametrize("name", FILES)
def test_the_day_that_is_shipped_is_the_one_that_is_composed(name: str) -> None:
    content = (EXAMPLE / name).read_bytes()
    assert (gzip.decompress(content) if name.endswith(".gz") else content) == FILES[name]().encode("ascii")
