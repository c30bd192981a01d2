"""docs/sql-cookbook.md says what is true: its queries find something. docs/tables.md is made from the schema."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from gridbot.store.sql_reference import reference
from gridbot.store.views import VIEWS
from supervisor.cli.main import cli
from supervisor.store.query import ask
from tests.store.session import make_session

DOCS = Path(__file__).parents[2] / "docs"
COOKBOOK = (DOCS / "sql-cookbook.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", COOKBOOK, flags=re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", COOKBOOK, flags=re.DOTALL) for line in block.splitlines()]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("session")
    make_session(directory)
    return directory


def test_every_example_finds_something(data_dir: Path) -> None:
    assert len(EXAMPLES) > 15
    for example in EXAMPLES:
        assert ask(data_dir, example).rows, example


def test_the_commands_of_the_cookbook_work(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "gridbot-supervisor"
        done = CliRunner().invoke(cli, [*arguments, "--data-dir", str(data_dir)])
        assert done.exit_code == 0, (command, done.output)
    assert "grid_profit" in (tmp_path / "money.csv").read_text(encoding="utf-8")
    assert (tmp_path / "fills.parquet").read_bytes().startswith(b"PAR1")


def test_every_view_has_an_example() -> None:
    for view in VIEWS:
        assert any(re.search(rf"\bFROM {view.name}\b", example) for example in EXAMPLES), view.name


def test_the_reference_is_that_of_the_code() -> None:
    text = (DOCS / "tables.md").read_text(encoding="utf-8")
    assert text == reference(), "run: python -m gridbot.store.sql_reference > docs/tables.md"
