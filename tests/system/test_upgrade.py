"""A data directory that a landed version left behind starts under this one: nothing is lost, nothing is doubled.

`landed/VERSION.tar.xz` is the data directory of a fleet of that version whose supervisor was killed after 50 s of
trading: state, journals that the database does not have in full, database with its write-ahead log, and the paper
exchange's file with 16 resting orders. `landed/VERSION.yaml` is its configuration.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.system.exchange_truth import ask_exchange, assert_no_doubles, filled

pytestmark = pytest.mark.system

LANDED = Path(__file__).parent / "landed"
VERSIONS = sorted(path.name.removesuffix(".tar.xz") for path in LANDED.glob("*.tar.xz"))
ACCOUNTS = ("alice", "bob")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_data_directory_of_a_landed_version_goes_on(gridbot: Any, version: str) -> None:
    session = gridbot.prepare((LANDED / f"{version}.yaml").read_text(encoding="utf-8"))
    with tarfile.open(LANDED / f"{version}.tar.xz") as archive:
        archive.extractall(session.data_dir, filter="data")
    resting = link_ids_of_resting_orders(session.data_dir / "paper.json")
    assert len(resting) == 16
    grids = grid_versions(session.data_dir)
    assert len(grids) == 3

    session.start()
    before = filled(session.status())
    assert before > 300, "the totals of the version before"
    session.wait(lambda status: filled(status) > before + 5, "new fills beside the old ones")
    for account in ACCOUNTS:
        _, orders = ask_exchange(session, account)
        assert_no_doubles(orders)
    session.wait(lambda _: session.ask("ledger", "check", "--exchange").stdout.count(": explained") == 2, "the money")
    session.stop()

    [alerts] = session.sql("SELECT count(*) AS foreign_orders FROM alerts WHERE key LIKE 'foreign%'")
    assert alerts["foreign_orders"] == 0, "the orders of the version before are ours"
    known = {row["order_link_id"] for row in session.sql("SELECT DISTINCT order_link_id FROM orders")}
    assert resting <= known
    files = [session.data_dir / "paper.json", *(session.data_dir / "paper.json.journal").glob("*.journal")]
    kept = b"".join(path.read_bytes() for path in files)
    assert [link for link in resting if link.encode() not in kept] == [], "orders that the exchange lost"
    now = grid_versions(session.data_dir)
    assert {name for name, number in grids.items() if now[name] < number} == set(), "grids that began anew"
    [executions] = session.sql(
        "SELECT count(*) AS rows, count(DISTINCT (account, exec_id)) AS ids FROM executions WHERE NOT shadow"
    )
    assert executions["rows"] == executions["ids"] > 300
    done = session.ask("ledger", "check")
    assert (done.exit_code, done.stdout.count(": explained")) == (0, 2), done.stdout


def link_ids_of_resting_orders(path: Path) -> set[str]:
    """From a paper exchange's file."""
    document = json.loads(path.read_bytes())
    return {order["request"]["order_link_id"] for account in document["accounts"].values() for order in account["open"]}


def grid_versions(data_dir: Path) -> dict[str, int]:
    """How often each grid has changed, by its file."""
    files = (data_dir / "state").glob("*/grids/*.grid.json")
    return {path.name: json.loads(path.read_bytes())["grid"]["version"] for path in files}
