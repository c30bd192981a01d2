"""docs/sql.md says what is true: its examples run and find something. docs/tables.md is made from the schema."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gridbot.store.sql_reference import reference
from gridbot.store.views import VIEWS
from supervisor.store.query import ask
from tests.store.session import make_session

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = re.findall(r"```sql\n(.*?)```", (DOCS / "sql.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("session")
    make_session(directory)
    return directory


def test_every_example_finds_something(data_dir: Path) -> None:
    assert len(EXAMPLES) > 15
    for example in EXAMPLES:
        assert ask(data_dir, example).rows, example


def test_every_view_has_an_example() -> None:
    for view in VIEWS:
        assert any(re.search(rf"\bFROM {view.name}\b", example) for example in EXAMPLES), view.name


def test_the_reference_is_that_of_the_code() -> None:
    text = (DOCS / "tables.md").read_text(encoding="utf-8")
    assert text == reference(), "run: python -m gridbot.store.sql_reference > docs/tables.md"
