"""Whose account a supervisor's is, on a host and in the records of a fleet."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from gridbot.doors.pseudo_account import host_of, is_supervisor, is_supervisor_sql, shared_name

ROOT = Path(__file__).parents[2]
KNOWN = {"supervisor/fleet/history_tables.py"}
"""A step of the fleet's tables that brings names of before up to date."""


@pytest.mark.parametrize(
    ("account", "host", "shared", "whose"),
    [
        ("_supervisor", "h2", "_supervisor@h2", ""),
        ("_supervisor@h2", "", "_supervisor@h2@", "h2"),
        ("alice", "h2", "alice", None),
        ("supervisor", "h2", "supervisor", None),
        ("_supervisors", "h2", "_supervisors@h2", None),
        ("al_supervisor@h2", "h2", "al_supervisor@h2", None),
    ],
)
def test_python_and_sql_agree_on_whose_account_it_is(account, host, shared, whose):
    assert is_supervisor(account) is (whose is not None)
    found = duckdb.execute(f"SELECT {is_supervisor_sql('name')} FROM (SELECT ? AS name)", [account]).fetchone()
    assert found == (whose is not None,)
    assert host_of(account) == (whose or "")
    if host:
        assert shared_name(account, host) == shared


def test_nobody_else_compares_with_the_name():
    """A statement that compares with the name of a host's supervisor finds none in the records of a fleet."""
    compares = re.compile(r"""'_supervisor|[=!]= *"_supervisor|LIKE[^\n]*_supervisor""")
    files = [path for room in ("gridbot", "supervisor") for path in (ROOT / room).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if compares.search(path.read_text(encoding="utf-8"))}
    assert found == KNOWN
