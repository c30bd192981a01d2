"""Where the configuration and the data directory are found."""

from __future__ import annotations

from pathlib import Path

from gridbot.config.loading import load_config
from gridbot.config.paths import data_directory, find_config

ROOT = Path(__file__).resolve().parents[2]


def test_where_things_are(tmp_path):
    conf = tmp_path / "conf" / "mine.yaml"
    conf.parent.mkdir()
    conf.write_text("storage: {data_dir: run/data}\naccounts: {broken")
    assert data_directory(None, str(conf), {}) == tmp_path / "data"
    conf.write_text("storage: {data_dir: run/data}")
    assert data_directory(None, str(conf), {}) == tmp_path / "run" / "data"
    assert data_directory(None, None, {"GRIDBOT_CONFIG_PATH": str(conf)}) == tmp_path / "run" / "data"
    assert data_directory(None, str(conf), {"GRIDBOT_DATA_DIR": "/e"}) == Path("/e")
    assert data_directory("/o", str(conf), {"GRIDBOT_DATA_DIR": "/e"}) == Path("/o")
    assert find_config(None, {}) == ROOT / "conf" / "demo.yaml"
    assert find_config("x", {"GRIDBOT_CONFIG_PATH": "y"}) == Path("x")


def test_paths_agree_with_the_loaded_configuration(tmp_path):
    demo = ROOT / "conf" / "demo.yaml"
    assert load_config(demo, environ={}).storage.data_dir == data_directory(None, str(demo), {})
