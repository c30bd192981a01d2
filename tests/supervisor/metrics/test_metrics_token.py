"""The token of /metrics: made once, for its owner alone, and compared whole."""

from __future__ import annotations

import os
import stat

import pytest

from supervisor.metrics.metrics_token import is_bearer, metrics_token
from tests.case_table import case_table


def test_it_is_made_once_and_kept(tmp_path):
    path = tmp_path / "web" / "metrics_token"
    token = metrics_token(path)
    assert len(token) >= 40
    assert metrics_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["metrics_token"]
    assert metrics_token(tmp_path / "other") != token


@pytest.mark.parametrize("text", ["", "short", "two words are no token", "ünïcödeünïcödeünïcöde", "a" * 2000])
def test_what_is_no_token_is_refused(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ValueError, match="remove the file"):
        metrics_token(path)


def test_what_others_may_have_read_is_no_secret(tmp_path):
    path = tmp_path / "token"
    path.write_text("a" * 40)
    path.chmod(0o644)
    with pytest.raises(PermissionError, match="the mode 644"):
        metrics_token(path)
    link = tmp_path / "link"
    os.symlink(path, link)
    with pytest.raises(OSError, match="symbolic"):
        metrics_token(link)


@case_table(
    ("header", "matches"),
    [
        ("Bearer 0123456789abcdef", True),
        ("bearer  0123456789abcdef", True),
        ("Bearer 0123456789abcdeF", False),
        ("Bearer 0123456789abcde", False),
        ("Bearer ", False),
        ("", False),
        ("0123456789abcdef", False),
        ("Basic 0123456789abcdef", False),
        ("Bearer \udcff", False),
    ],
)
def test_only_the_whole_token_opens(header, matches):
    assert is_bearer(header, "0123456789abcdef") is matches
