"""A host of a fleet: its own file, what all hosts share, its keys, and where PostgreSQL is; nothing secret is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.config.dsn_files import read_dsn
from gridbot.config.errors import ConfigError
from gridbot.config.fleet_document import pushed_text
from gridbot.config.host_config import checked_shared, fleet_settings, held_by
from gridbot.config.loading import load_config, load_text
from gridbot.config.paper_secrets import SEED_FILE, knowing_only, paper_seed
from gridbot.config.snapshots import account_snapshot
from gridbot.core.limits import Limit
from gridbot.doors.fleet_dsn import dsn_parts, dsn_problem, dsn_secrets, place_of
from tests.case_table import case_table

PASSWORD = "planted-password-01"
DSN = f"postgresql://bot:{PASSWORD}@127.0.0.1:5433/fleet"
SHARED = """\
defaults:
  strategies: {grid_count: 12, grid_step: 0.3, amount: q0.01}
accounts:
  - {name: alice, environment: testnet, hosts: [h1]}
  - {name: bob, environment: testnet}
  - {name: carol, environment: paper}
strategies:
  - {strat_id: a, account: alice, symbol: BTCUSDT}
  - {strat_id: b, account: bob, symbol: BTCUSDT}
  - {strat_id: c, account: carol, symbol: BTCUSDT}
fleet: {caps: {max_notional: 5000}}
"""
HOST = """\
fleet:
  name: night
  host: h1
  dsn_file: dsn
  keys:
    alice: {api_key: "${ALICE_KEY}", api_secret: planted-secret-alice}
    "*": {api_key_file: "keys/{account}.key", api_secret_file: "keys/{account}.secret"}
storage: {data_dir: here}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A host's directory, with its file, the DSN and the keys of dora."""
    (tmp_path / "dsn").write_text(DSN + "\n")
    (tmp_path / "host.yaml").write_text(HOST)
    (tmp_path / "keys").mkdir()
    for name, value in {"dora.key": "planted-key-dora", "dora.secret": "planted-secret-dora"}.items():
        (tmp_path / "keys" / name).write_text(value)
    return tmp_path


ENVIRON = {"ALICE_KEY": "planted-key-alice"}


@case_table(
    ("dsn", "wrong"),
    [
        ("postgresql://u:p@db.example/f?sslmode=verify-full", None),
        ("postgres://u@[::1]:5432/f", None),
        ("host=localhost dbname=f", None),
        ("host=/run/postgresql user=u", None),
        ("postgresql:///f?host=/run/postgresql", None),
        ("postgresql://u:p@db.example/f", ("db.example", "no sslmode")),
        ("postgresql://u:p@127.0.0.1,db2.example/f?sslmode=prefer", ("db2.example", "sslmode=prefer")),
        ("host = 192.0.2.1 password='p q' sslmode = disable", ("192.0.2.1", "sslmode=disable")),
        # Where libpq really connects to: `hostaddr` before `host`, and what its variables say when there is neither.
        ("host=localhost hostaddr=192.0.2.1", ("192.0.2.1", "no sslmode")),
        ("postgresql://u@127.0.0.1/f?hostaddr=127.0.0.1,192.0.2.1", ("192.0.2.1", "no sslmode")),
        ("user=u dbname=f", ("db.of-variable", "no sslmode")),
        ("postgresql:///f?sslmode=require", None),
        ("service=prod", ("says itself where", "service=, which names a place that cannot be checked")),
        ("nonsense " + PASSWORD, ("libpq URI", "something else")),
        ("postgresql://u:" + PASSWORD + "@[bad/f", ("libpq URI", "something else")),
        # What libpq takes for host, port or database, and says so in each of its errors.
        ("postgresql://u:" + PASSWORD + "/x@localhost/f", ("libpq URI", "a character that tears it apart")),
        ("postgresql://u:x@" + PASSWORD + "@localhost/f", ("libpq URI", "a character that tears it apart")),
        ("postgresql://u:1#" + PASSWORD + "@localhost/f", ("libpq URI", "a character that tears it apart")),
    ],
)
def test_a_dsn_leads_off_this_machine_with_tls_only(dsn: str, wrong: tuple[str, str] | None) -> None:
    found = dsn_problem(dsn, {"PGHOST": "db.of-variable"})
    assert (found is None) == (wrong is None)
    if found is not None and wrong is not None:
        assert wrong[0] in found[0]
        assert wrong[1] == found[1]
        assert PASSWORD not in " ".join(found)


def test_what_a_dsn_lacks_libpq_takes_from_its_variables() -> None:
    for variables, dsn, far in (
        ({"PGHOSTADDR": "192.0.2.9"}, "host=localhost dbname=f", "192.0.2.9"),
        ({"PGSERVICE": "prod"}, "host=localhost dbname=f", "PGSERVICE"),
        ({"PGSERVICE": "prod"}, "host=db.example sslmode=verify-full", ""),
        ({"PGHOST": "db.example"}, "hostaddr=127.0.0.1", ""),
    ):
        found = dsn_problem(dsn, variables)
        assert (found is not None and far in found[0]) == bool(far), (variables, dsn, found)


def test_the_parts_of_a_dsn_and_what_of_it_is_secret() -> None:
    assert dict(dsn_parts("postgresql://u%40x:p%2F5678@h1:1,h2:2/db?sslmode=require")) == {
        "user": "u@x", "password": "p/5678", "host": "h1,h2", "port": "1,2", "dbname": "db", "sslmode": "require",
    }  # fmt: skip
    assert dsn_secrets("postgresql://u:p%2F5678@h/db") == ["postgresql://u:p%2F5678@h/db", "p/5678", "p%2F5678"]
    assert place_of(DSN) == "127.0.0.1:5433/fleet"


def test_the_file_of_a_host(place: Path) -> None:
    own = load_config(place / "host.yaml", environ=ENVIRON)
    assert (own.fleet.is_host, own.accounts, own.fleet.name) == (True, (), "night")
    assert read_dsn(own.fleet) == DSN
    assert {DSN, PASSWORD, "planted-secret-alice", "planted-key-alice"} <= set(own.secrets())
    assert knowing_only(own).secrets() == [], "no child gets any of it"
    (place / "dsn").write_text("postgresql://u:other@db.example/f")
    with pytest.raises(ValueError, match=r"expected an encrypted connection to db\.example"):
        read_dsn(own.fleet)


@case_table(
    ("change", "said"),
    [
        (
            (HOST, HOST + "accounts: [{name: alice}]\n"),
            "9: accounts: expected only `fleet:` and the sections of this host",
        ),
        (("fleet:\n", "fleet:\n  caps: {max_notional: 5}\n"), "2: fleet.caps: expected no caps in the file of a host"),
        (("  name: night\n", ""), "1: fleet.name: expected a name of the fleet beside `host`, got nothing"),
        (("  host:", "  paper_url: 127.0.0.1:80\n  host:"), "3: fleet.paper_url: expected the address of a paper exch"),
        (("  host:", "  paper_url: ftp://x\n  host:"), "3: fleet.paper_url: expected the address of a paper exchange"),
        (("{account}.key", "{acount}.key"), "7: fleet.keys.*.api_key_file: expected the name of a file, in which `{a"),
        (
            ("dsn_file: dsn", "dsn_file: nowhere"),
            "4: fleet.dsn_file: expected a file with where PostgreSQL is, got an unre",
        ),
        (
            ("dsn_file: dsn", f"dsn: postgresql://u:{PASSWORD}@db.example/f"),
            "4: fleet.dsn: expected an encrypted connect",
        ),
        (
            ("dsn_file: dsn", f"dsn_file: dsn\n  dsn: {DSN}"),
            "4: fleet.dsn_file: expected `dsn` or `dsn_file`, got both",
        ),
        (("  host: h1\n", ""), "1: fleet.host: expected `host` beside `dsn` and `dsn_file`, got nothing"),
        (("  dsn_file: dsn\n", ""), "fleet.dsn: expected `dsn: ${VARIABLE}` or `dsn_file` beside `host`"),
        (("name: night", "address: here"), "2: fleet.address: expected an IP address of this machine"),
    ],
)
def test_what_a_host_may_not_say(place: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(HOST.replace(*change), place / "host.yaml", environ=ENVIRON)
    assert said in str(caught.value)
    assert PASSWORD not in str(caught.value)


@case_table(
    ("change", "said"),
    [
        (("name: bob", "name: bob, api_key: k1234567"), "5: accounts[1].api_key: expected no keys and no secrets"),
        (("name: bob", "name: bob, keyring: true"), "5: accounts[1].keyring: expected no keys and no secrets"),
        (("defaults:", "defaults:\n  accounts: {api_secret: s1234567}"), "2: defaults.accounts.api_secret: expected"),
        (("q0.01", '"${AMOUNT}"'), "2: defaults.strategies.amount: expected values without variables"),
        (("{caps:", "{name: night, caps:"), "11: fleet.name: expected caps and groups only"),
        (("BTCUSDT", "BTC"), "8: strategies[0].symbol: expected a USDT perpetual"),
        (("strategies:\n  - ", "storage: {data_dir: x}\nweb: [\nstrategies:\n  - "), "valid YAML"),
    ],
)  # fmt: skip
def test_what_may_not_be_shared(change: tuple[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_shared(pushed_text(SHARED.replace(*change), "shared.yaml").text, "shared.yaml")
    assert said in str(caught.value)
    assert "1234567" not in str(caught.value)


def test_the_sections_of_a_host_are_left_out_and_lines_keep_their_numbers() -> None:
    text = "storage:\n  data_dir: x\nnotify: {routes: [{name: p, urls: ['${HOOK}']}]}\n" + SHARED + "web: {port: 1}\n"
    pushed = pushed_text(text, "g.yaml")
    assert pushed.left_out == (("storage", 1), ("notify", 3), ("web", 15))
    assert "HOOK" not in pushed.text
    assert pushed.text.splitlines()[3] == "defaults:"
    assert [account.name for account in checked_shared(pushed.text, "g.yaml").accounts] == ["alice", "bob", "carol"]
    with pytest.raises(ConfigError, match="a section of this host on lines of its own"):
        pushed_text("{accounts: [{name: a}], storage: {data_dir: x}}", "g.yaml")


def test_a_host_offers_for_the_accounts_whose_keys_it_has(place: Path) -> None:
    own = load_config(place / "host.yaml", environ=ENVIRON)
    shared = SHARED.replace("name: bob", "name: dora").replace("account: bob", "account: dora")
    found = fleet_settings(shared, 3, own, place / "host.yaml", {})
    assert found.offers == {"alice", "dora"}
    why = "it is on paper, and fleet.paper_url of this host names no paper exchange"
    assert dict(found.not_offered) == {"carol": why}
    keys = {each.name: each.api_secret.get_secret_value() for each in found.config.accounts}
    assert (keys["alice"], keys["dora"]) == ("planted-secret-alice", "planted-secret-dora")
    assert found.config.storage.data_dir == place / "here"
    assert found.config.fleet.caps.is_set
    assert found.config.fleet.host == "h1"
    held = held_by(found, ["dora"])
    assert ([each.name for each in held.accounts], [each.strat_id for each in held.strategies]) == (["dora"], ["b"])
    assert [(caps.max_notional, names) for caps, names in held.cap_scopes().values()] == [
        (Limit(Decimal(5000)), ["dora"])
    ], "the cap of the whole fleet: the database says who may have what of it"
    assert held_by(found, []).cap_scopes() == {}
    assert "host" not in account_snapshot(held, "dora")["fleet"], "the records say nothing of where it ran"
    (place / "keys" / "dora.secret").unlink()
    found = fleet_settings(shared, 3, own, place / "host.yaml", {})
    assert found.offers == {"alice"}
    assert found.not_offered["dora"].startswith("no secret of it: an unreadable file")
    with pytest.raises(ConfigError, match=r"version 4 of the fleet's configuration:8: strategies\[0\].symbol"):
        fleet_settings(shared.replace("BTCUSDT", "BTC"), 4, own, place / "host.yaml", {})


def test_accounts_on_paper_have_the_secrets_of_one_exchange(place: Path) -> None:
    seed = paper_seed(place / "exchange")
    more = f"  paper_url: http://127.0.0.1:1\n  paper_seed_file: exchange/{SEED_FILE}\n"
    (place / "host.yaml").write_text(HOST.replace("  keys:\n", f"{more}  keys:\n"))
    own = load_config(place / "host.yaml", environ=ENVIRON)
    found = fleet_settings(SHARED, 1, own, place / "host.yaml", {})
    assert "carol" in found.offers
    twin = fleet_settings(SHARED, 1, own, place / "host.yaml", {}).config.account("carol")
    assert len(seed) == 32
    assert found.config.account("carol").api_secret == twin.api_secret
    assert twin.api_secret.get_secret_value()
