"""`gridbot-supervisor config migrate`: exit codes, what is written, what is told, and that no secret is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supervisor.cli.main import cli

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "original.yaml"
GOOD = """accounts: [{name: a, api_key: SESAME, api_secret: SESAME}]
strategies: [{strat_id: s, account: a, symbol: LTCUSDT}]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "300")

    def _run(*words: object) -> Result:
        result = CliRunner().invoke(cli, ["config", "migrate", *map(str, words)])
        assert result.exception is None or isinstance(result.exception, SystemExit) or hasattr(result.exception, "code")
        assert "SESAME" not in result.output + repr(result.exception)
        return result

    return _run


def test_the_new_file_passes_check_when_its_variables_are_set(run, tmp_path, monkeypatch):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(GOOD)
    done = run(old, "-o", new)
    assert done.exit_code == 0, done.output
    assert "set before you start: A_API_KEY, A_API_SECRET" in done.output
    assert f"1 account, 1 strategy; written: {new}" in done.output
    assert 'storage: {data_dir: "data-new"}' in new.read_text(), "not that of the demo"
    assert "SESAME" not in new.read_text()
    assert new.stat().st_mode & 0o077 == 0
    monkeypatch.setenv("A_API_KEY", "one")
    monkeypatch.setenv("A_API_SECRET", "two")
    checked = CliRunner().invoke(cli, ["check", "-c", str(new)])
    assert checked.exit_code == 0, checked.output

    before = new.read_text()
    again = run(old, "-o", new)
    assert again.exception.code == 7
    assert new.read_text() == before


def test_real_money_is_left_to_the_operator(run, tmp_path):
    done = run(EXAMPLE)
    assert done.exit_code == 8
    assert "left to do: accounts[0].environment: expected `allow_mainnet: true`" in done.output
    assert "accounts[1]" not in done.output
    assert "nothing is written: -o NEW.yaml writes the new file" in done.output
    assert "spells out main_ltc.api_key" in done.output
    assert "grid_stepp: (not shown) (ltcusdt_main); unknown to the original" in done.output
    assert "max_margin: 5 -> max_margin = 5 (ltcusdt_main); the original read this key and never used it" in done.output


def test_json_has_every_key_and_the_text(run):
    told = json.loads(run(EXAMPLE, "--json").stdout)
    assert (told["ok"], told["new"], len(told["problems"])) == (False, None, 1)
    assert told["text"].startswith("# Made from original.yaml")
    assert {"becomes": "no equal", "ours": "", "given": True, "value": "(not shown)"}.items() <= next(
        row for row in told["keys"] if row["key"] == "database_url"
    ).items()
    assert told["variables_to_set"] == ["MAIN_LTC_API_KEY", "MAIN_LTC_API_SECRET", "SECOND_KEY", "SECOND_SECRET"]


@pytest.mark.parametrize("as_json", [False, True])
def test_another_file_is_refused(run, tmp_path, as_json):
    old, options = tmp_path / "old.yaml", ["--json"] if as_json else []
    old.write_text(GOOD.replace("symbol: LTCUSDT", "symbol: LTCUSDT, grid_count: 3"))
    refused = run(old, "-o", tmp_path / "new.yaml", *options)
    assert (refused.exit_code, "from 4 up" in refused.output) == (4, True)
    assert run(tmp_path / "none.yaml", *options).exit_code == 4
    assert not (tmp_path / "new.yaml").exists()
