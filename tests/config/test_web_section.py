"""Where the page may listen, and that nobody on the way can read it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from supervisor.web.web_entry import web_spec

FILE = "accounts: [{name: alice, environment: paper}]\nweb: {%s}\n"


def load(tmp_path: Path, section: str):
    path = tmp_path / "conf" / "gridbot.yaml"
    path.parent.mkdir()
    path.write_text(FILE % section)
    return load_config(path)


@pytest.mark.parametrize(
    ("section", "is_secure"),
    [
        ("", False),
        ("host: 127.0.0.1", False),
        ("host: '::1'", False),
        ("host: localhost", False),
        ("host: 127.8.8.8", False),
        ("host: 0.0.0.0, tls_cert: a.pem, tls_key: b.pem", True),
        ("host: 10.0.0.7, behind_proxy: true, names: [bots.example]", True),
        ("behind_proxy: true", True),
    ],
)
def test_it_listens_on_loopback_or_with_tls_or_behind_a_proxy(tmp_path, section, is_secure):
    config = load(tmp_path, section)
    assert config.web.is_secure is is_secure
    spec = web_spec(config, before=7)
    assert (spec.host, spec.is_secure, spec.names) == (config.web.host, is_secure, config.web.names)
    assert spec.before == 7
    assert (spec.metrics_token_file, config.web.allow_commands) == (None, False)
    if "tls" in section:
        assert (spec.tls_cert, spec.tls_key) == (tmp_path / "a.pem", tmp_path / "b.pem"), (
            "beside conf/, as all that is read"
        )


def test_the_token_file_is_written_so_it_is_below_the_data_directory(tmp_path):
    config = load(tmp_path, "metrics_token_file: scrape/token")
    assert web_spec(config).metrics_token_file == config.storage.data_dir / "scrape" / "token"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("host: 0.0.0.0", "web.host.*loopback.*behind_proxy"),
        ("host: '::'", "web.host.*loopback"),
        ("host: bots.example", "web.host.*loopback"),
        ("host: 10.0.0.7, tls_cert: a.pem", "web.tls_cert.*both or none"),
        ("tls_key: b.pem", "both or none"),
        ("port: 70000", "web.port"),
        ("names: ['a b']", "web.names"),
        ("allow_everything: true", "allow_everything"),
    ],
)
def test_what_others_could_read_on_the_way_is_refused(tmp_path, section, words):
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, section)
    assert re.search(words, str(refused.value), re.DOTALL), str(refused.value)
