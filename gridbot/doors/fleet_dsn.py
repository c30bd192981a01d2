"""Where PostgreSQL is (`fleet.dsn`): checked and taken apart, without a client library. Pure.

A DSN is a secret: nothing here puts it, or a part of it, into a text for people. Off loopback the connection has to be
encrypted (`sslmode` require, verify-ca or verify-full): whoever reads it can act for the whole fleet.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["dsn_parts", "dsn_problem", "dsn_secrets", "place_of"]

ENCRYPTED: Final = frozenset({"require", "verify-ca", "verify-full"})
SHAPE: Final = "a libpq URI such as postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full, or key=value words"
ELSEWHERE: Final = frozenset({"service", "servicefile"})
SHORTEST: Final = 6
"""Characters of a password that is looked for in other texts by itself."""
_PORT: Final = re.compile(r"[0-9]+\Z")
_WORD: Final = re.compile(r"([a-z_]+)\s*=\s*(.*)\Z", re.DOTALL)


def dsn_parts(dsn: str) -> Mapping[str, str]:
    """Host, port, dbname, user, password, sslmode and so on, as far as it says. Raises ValueError, without the DSN."""
    text = dsn.strip()
    if text.startswith(("postgresql://", "postgres://")):
        return _of_uri(text)
    try:
        words = shlex.split(re.sub(r"\s*=\s*", "=", text))
    except ValueError:
        words = []
    found = [_WORD.match(word) for word in words]
    if not words or None in found:
        raise ValueError(f"expected {SHAPE}")
    return {match[1]: match[2] for match in found if match is not None}


def _of_uri(text: str) -> Mapping[str, str]:
    try:
        split = urlsplit(text)
        parts = dict(parse_qsl(split.query))
        place = split.netloc.rpartition("@")[2]
        user, password = split.username, split.password
    except ValueError:
        raise ValueError(f"expected {SHAPE}") from None
    hosts, ports = [], []
    for each in place.split(",") if place else ():
        host, colon, port = each.rpartition(":") if not each.endswith("]") else (each, "", "")
        hosts.append(unquote((host if colon else each).strip("[]")))
        ports.append(port if colon else "")
    if hosts and "host" not in parts:
        parts["host"] = ",".join(hosts)
    if any(ports):
        parts["port"] = ",".join(ports)
    if user:
        parts["user"] = unquote(user)
    if password:
        parts["password"] = unquote(password)
    if split.path.strip("/"):
        parts["dbname"] = unquote(split.path.strip("/"))
    return parts


def place_of(dsn: str) -> str:
    """Host, port and database, for people: nothing of it is secret. Raises ValueError."""
    parts = dsn_parts(dsn)
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"{parts.get('host') or parts.get('hostaddr') or 'the local socket'}{port}/{parts.get('dbname', '')}"


def dsn_problem(dsn: str, environ: Mapping[str, str] = MappingProxyType({})) -> tuple[str, str, str] | None:
    """What is expected instead of a DSN, what came, what to do; None when it may be used. `environ`: the variables of
    the process that connects, which libpq asks for what the DSN does not say."""
    try:
        parts = dsn_parts(dsn)
    except ValueError:
        return SHAPE, "something else", "correct it; it is not shown here, because it is a secret"
    if _is_torn(dsn, parts):
        return SHAPE, "a character that tears it apart", "in a password write @ as %40, / as %2F, # as %23, ? as %3F"
    if elsewhere := sorted(ELSEWHERE & parts.keys()):
        what = "a DSN that says itself where PostgreSQL is"
        return what, f"{elsewhere[0]}=, which names a place that cannot be checked", "write host, user and sslmode out"
    # libpq asks its variables for each that the DSN lacks, and connects to `hostaddr` where there is one.
    hosts = [parts.get("host") or ("" if parts.get("hostaddr") else environ.get("PGHOST", ""))]
    hosts += [parts.get("hostaddr") or environ.get("PGHOSTADDR", "")]
    far = [host for host in dict.fromkeys(",".join(hosts).split(",")) if not _is_loopback(host)]
    if environ.get("PGSERVICE"):
        far.append("the place that PGSERVICE names")
    if far and parts.get("sslmode") not in ENCRYPTED:
        mode = f"sslmode={parts['sslmode']}" if "sslmode" in parts else "no sslmode"
        what = f"an encrypted connection to {', '.join(far)}, which is not this machine"
        return what, mode, "add sslmode=verify-full and sslrootcert=FILE (or sslmode=require)"
    return None


def _is_torn(dsn: str, parts: Mapping[str, str]) -> bool:
    """Whether a part of the password may be taken for an address, which texts show."""
    is_uri = dsn.strip().startswith("postgres") and "://" in dsn
    ports = (port for port in parts.get("port", "").split(",") if port)
    return (is_uri and (dsn.count("@") > 1 or "#" in dsn)) or not all(map(_PORT.match, ports))


def _is_loopback(host: str) -> bool:
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def dsn_secrets(dsn: str) -> list[str]:
    """What must be in no log: the DSN, and its password in each spelling."""
    if not dsn:
        return []
    try:
        password = dsn_parts(dsn).get("password", "")
    except ValueError:
        password = ""
    written = urlsplit(dsn).password if dsn.startswith("postgres") else ""
    return [dsn, *(each for each in dict.fromkeys((password, written or "")) if len(each) >= SHORTEST)]
