"""Where the configuration and the data directory are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from gridbot.config.paths import data_directory, find_config

ROOT = Path(__file__).resolve().parents[2]


def test_where_things_are(tmp_path):
    conf = tmp_path / "conf" / "mine.yaml"
    conf.parent.mkdir()
    conf.write_text("accounts: [{api_key: '${NOT_SET_HERE}'}]")
    assert data_directory(None, str(conf), {}) == tmp_path / "data"
    conf.write_text("storage: {data_dir: run/data}")
    assert data_directory(None, str(conf), {}) == tmp_path / "run" / "data"
    assert data_directory(None, None, {"GRIDBOT_CONFIG_PATH": str(conf)}) == tmp_path / "run" / "data"
    assert data_directory(None, str(conf), {"GRIDBOT_DATA_DIR": "/e"}) == Path("/e")
    assert data_directory("/o", str(conf), {"GRIDBOT_DATA_DIR": "/e"}) == Path("/o")
    assert find_config(None, {}) == ROOT / "conf" / "demo.yaml"
    assert find_config("x", {"GRIDBOT_CONFIG_PATH": "y"}) == Path("x")


def test_without_a_checkout_the_installed_demo_runs_where_one_is(tmp_path, monkeypatch):
    """As in a wheel: its `site-packages` has no `conf`."""
    installed = tmp_path / "site-packages" / "gridbot" / "config"
    installed.mkdir(parents=True)
    (installed / "demo.yaml").write_bytes((ROOT / "gridbot" / "config" / "demo.yaml").read_bytes())
    monkeypatch.setattr("gridbot.config.paths.__file__", str(installed / "paths.py"))
    monkeypatch.setattr("gridbot.config.paths.INSTALLED_DEMO", installed / "demo.yaml")
    here = tmp_path / "here"
    (here / "conf").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert find_config(None, {}) == installed / "demo.yaml"
    assert data_directory(None, None, {}) == here / "data"
    assert load_config(installed / "demo.yaml", environ={}).storage.data_dir == here / "data"
    (here / "conf" / "demo.yaml").write_text("accounts: []")
    assert find_config(None, {}) == here / "conf" / "demo.yaml", "one's own counts"


def test_paths_agree_with_the_loaded_configuration(tmp_path):
    demo = ROOT / "conf" / "demo.yaml"
    assert load_config(demo, environ={}).storage.data_dir == data_directory(None, str(demo), {})


VALID = "environment: paper\naccounts: [{name: dan}]\n"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("off", "off"),
        ("2026_11", "2026_11"),
        ("0010", "0010"),
        ("a/../b/", "b"),
        ("~/x", "home/x"),
        ("'${X}/y'", "x/y"),
        ("'${BY_FILE}/y'", "secret/y"),
        ("costs$5", "costs$5"),
    ],
)
def test_start_and_all_other_commands_read_the_same_directory(tmp_path, monkeypatch, written, found):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    secret = tmp_path / "secret.txt"
    secret.write_text(str(tmp_path / "secret"))
    environ = {"X": "x", "BY_FILE_FILE": str(secret)}
    file = tmp_path / "mine.yaml"
    file.write_text(f"{VALID}storage: {{data_dir: {written}}}\n")
    assert data_directory(None, str(file), environ) == tmp_path / found
    assert load_config(file, environ=environ).storage.data_dir == tmp_path / found


@pytest.mark.parametrize("named", ["here/../there", "/a/../there", "~/there"])
def test_options_and_variables_name_the_same_directory(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.yaml"
    file.write_text(VALID)
    environ = {"GRIDBOT_DATA_DIR": named}
    place = data_directory(None, str(file), environ)
    assert place.name == "there"
    assert ".." not in place.parts
    assert load_config(file, environ=environ).storage.data_dir == place
    assert load_config(file, environ={}, data_dir=named).storage.data_dir == place == data_directory(named, None, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("storage: {data_dir: $HOME/x}\n", "data_dir: expected a path, with variables as ${NAME}, got `$HOME/x`"),
        ("storage: {data_dir: ~nobody-of-that-name/x}\n", "with ~ of a user of this machine"),
        ("storage: {data_dir: '${NOT_SET}'}\n", "NOT_SET, got no such variable"),
        ("storage: {data_dir: [a]}\n", "data_dir: expected"),
        ("storage: {data_dir: }\n", "data_dir: expected"),
        ("storage: {data_dir: ''}\n", "data_dir: expected a path"),
        ("storage: {data_dir: run/data}\nstrategies: {broken", "expected valid YAML"),
        (None, "expected a readable configuration file"),
    ],
)
def test_a_named_file_that_does_not_say_where_is_refused_by_all(tmp_path, text, says):
    """`stop -c typo.yaml` would else stop the bot of another file."""
    file = tmp_path / "mine.yaml"
    if text is not None:
        file.write_text(VALID + text)
    for read in (lambda: data_directory(None, str(file), {}), lambda: load_config(file, environ={})):
        with pytest.raises(ConfigError) as refused:
            read()
        assert says in str(refused.value)
        assert len(refused.value.problems) == 1


def test_the_default_file_may_be_missing(tmp_path, monkeypatch):
    missing = tmp_path / "conf" / "demo.yaml"
    monkeypatch.setattr("gridbot.config.paths.find_config", lambda *_: missing)
    assert data_directory(None, None, {}) == tmp_path / "data"


@pytest.mark.parametrize(
    "paper", ["state_file: {}", "market: {{instruments_from: {}}}", "market: {{files: {{BTCUSDT: {}}}}}"]
)
@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("$HOME/x", "variables as ${NAME}, got `$HOME/x`"),
        ("~nobody-of-that-name/x", "with ~ of a user"),
        ("''", "path"),
    ],
)
def test_every_path_of_the_file_is_read_by_the_same_rule(tmp_path, paper, written, says):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{VALID}paper: {{{paper.format(written)}}}\n")
    with pytest.raises(ConfigError) as refused:
        load_config(file, environ={})
    assert says in str(refused.value)
    assert refused.value.problems[0].line == 3


def test_no_path_of_the_file_depends_on_the_working_directory(tmp_path, monkeypatch):
    """A file for `instruments_from` was looked for in the working directory."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / "mine.yaml"
    for written, root, data in (
        ("a/../b", "b", "data/b"),
        ("~/b", "home/b", "home/b"),
        ("'${X}/b'", "x/b", "data/x/b"),
    ):
        market = f"{{instruments_from: {written}, files: {{BTCUSDT: {written}}}}}"
        file.write_text(f"{VALID}paper: {{state_file: {written}, market: {market}}}\n")
        paper = load_config(file, environ={"X": "x"}).paper
        assert paper.market.instruments_from == str(tmp_path / root)
        assert paper.market.files == {"BTCUSDT": tmp_path / root}
        assert paper.state_file == tmp_path / data
    file.write_text(f"{VALID}paper: {{market: {{instruments_from: 'https://api.bybit.com'}}}}\n")
    assert load_config(file, environ={}).paper.market.instruments_from == "https://api.bybit.com"
