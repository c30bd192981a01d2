"""What comes by other ways: words in logs, the control socket, journals, the configuration."""

from __future__ import annotations

import logging
import random
import tempfile
from pathlib import Path
from typing import Any

import orjson

from gridbot.commands.arguments import read_arguments
from gridbot.commands.command_table import FLEET_COMMANDS, WORKER_COMMANDS
from gridbot.config.errors import ConfigError
from gridbot.config.loading import load_config
from gridbot.core.strict_numbers import HIGHEST, LATEST_MS, amount_or_none, decimal_or_none, time_or_none, whole_or_none
from gridbot.doors.plain_text import one_line
from gridbot.frames import frame, split
from gridbot.log_lines import ConsoleFormatter, JsonFormatter
from gridbot.records import codec
from gridbot.records.block_reader import bodies_of
from gridbot.records.columns import JOURNAL_TYPES, ColumnKind, columns_of
from gridbot.records.record_block import block_of
from supervisor.control.socket_protocol import encode, read_request
from tests.fuzz.mutations import NASTY, changed, dumped, hurt, nasty
from tests.store.kit import execution, ticker

__all__ = ["SOCKET", "asked", "configured", "file", "frames", "journal", "logged", "number", "text"]

NOW_MS = 1_800_000_000_000
SYMBOL = "BTCUSDT"


def text(rng: random.Random) -> str:
    signs = "0123456789.-+eE_ x١²\n\x1b\x9b\ud800aé"
    return "".join(rng.choices(signs, k=rng.randrange(26))) if rng.random() < 0.6 else str(nasty(rng))


# ---------------------------------------------------------------------- numbers and words


def number(value: Any) -> str:
    number, whole, at_ms = decimal_or_none(value), whole_or_none(value), time_or_none(value)
    assert number is None or -HIGHEST < number < HIGHEST
    assert whole is None or -(2**63) <= whole < 2**63
    assert at_ms is None or 0 <= at_ms <= LATEST_MS
    assert (amount_or_none(value) is not None) == (number is not None and number >= 0)
    return "number" if number is not None else "none"


_json_lines, _console = JsonFormatter("worker-alice"), ConsoleFormatter("worker-alice")


def logged(value: Any) -> str:
    record = logging.LogRecord("gridbot", logging.INFO, "", 0, "%s", (value,), None)
    record.__dict__["extra"] = value
    file, console = _json_lines.format(record), _console.format(record)
    orjson.loads(file)
    assert file.isprintable()
    assert console.isprintable()
    assert len(console) < 3_000
    assert one_line(str(value)).isprintable()
    return "line"


# ---------------------------------------------------------------------- control socket, journals, configuration


SOCKET: tuple[dict[str, Any], ...] = (
    {"op": "ping"},
    {"op": "stop", "mode": None, "force": False},
    {"op": "restart", "child": "alice", "who": "telegram:7"},
    {"op": "why", "account": "alice", "strategy": "btc"},
    {"op": "ack", "alert": "k3x9aq"},
    {"op": "mute", "what": "stale_price", "period": "2h", "of_account": "alice"},
    {"op": "declined", "name": "resume", "args": {"targets": "a b"}, "why": "not confirmed"},
    {"op": "worker", "account": "alice", "name": "pause", "args": {"strategy": "btc", "cancel": True}, "wait_s": 5},
    {"op": "worker", "account": "alice", "name": "correct", "args": {"as_of": "12", "figures": "[{}]"}, "wait_s": 5},
)
TABLE = {command.name: command for command in (*FLEET_COMMANDS, *WORKER_COMMANDS)}


def asked(line: bytes) -> str:
    request = read_request(line)
    if isinstance(request, str):
        encode({"ok": False, "error": request})
        return "refused"
    worker = request["op"] == "worker"
    command = TABLE.get(str(request.get("name"))[:100] if worker else request["op"][:100])
    if command is not None:
        given = request.get("args") if worker else {key: value for key, value in request.items() if key != "op"}
        try:
            read = read_arguments(command, given)
            for name in ("as_of_record", "listed_figures", "listed_orders", "seconds"):
                getattr(read, name, None)
        except ValueError as mistake:  # CommandMistake is one
            return "mistake" if len(str(mistake)) < 3_000 else "endless mistake"
    encode(request)
    return "request"


_VALUES = {
    ColumnKind.TEXT: "x",
    ColumnKind.INTEGER: 1,
    ColumnKind.BOOLEAN: True,
    ColumnKind.DECIMAL: "1.5",
    ColumnKind.UTC_MS: NOW_MS,
    ColumnKind.UTC_US: NOW_MS * 1000,
    ColumnKind.JSON: "{}",
}


def _bodies() -> tuple[Any, ...]:
    head = {"account": "alice", "run_id": "r", "seq": 1, "local_ts": 1}
    return tuple(
        {"kind": kind, **head, "data": {column.name: _VALUES[column.kind] for column in columns_of(cls)}}
        for kind, cls in sorted(JOURNAL_TYPES.items())
    )


BODIES = _bodies()


BLOCK = block_of(
    "alice", "r", 7, [NOW_MS * 1000, NOW_MS * 1000, NOW_MS * 1000], [execution(1), ticker(2), execution(3)]
)


def _body(rng: random.Random) -> bytes:
    """Of a record, or of a block whose head or lines are not what they were."""
    if rng.random() < 0.6:
        return dumped(changed(rng, rng.choice(BODIES)))
    head, _, lines = BLOCK.partition(b"\r")
    if rng.random() < 0.5:
        return head + b"\r" + hurt(rng, lines)
    return dumped(changed(rng, orjson.loads(head))) + b"\r" + lines


def frames(rng: random.Random) -> bytes:
    lines = b"".join(frame(_body(rng)) for _ in range(rng.randrange(1, 4)))
    return hurt(rng, lines) if rng.random() < 0.5 else lines


def journal(buffer: bytes) -> str:
    bodies, damaged, done = split(buffer, complete=True)
    assert done == len(buffer)
    outcome = "damage" if damaged else "records"
    for body in bodies:
        for read in (codec.decode_body, codec.peek, codec.parse, codec.seq_of, bodies_of):
            try:
                read(body)
            except codec.CodecError:
                outcome = "refused"
    return outcome


CONFIG = """
accounts:
  - name: alice
    environment: paper
strategies:
  - strat_id: btc
    account: alice
    symbol: BTCUSDT
    amount: x0.01
    grid_count: 10
    grid_step: 0.2
storage:
  data_dir: data
  keep_tickers: 3d
paper:
  market: {source: manual}
"""
WORDS = (
    *(str(value)[:2000] for value in NASTY),
    *("*a", "&a", "!!x", "<<: *a", "{", "[", "|", "'", "${HOME}", "1e17", "12", "0.5"),
)


def file(rng: random.Random) -> str:
    lines = CONFIG.split("\n")
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(lines))
        key, colon, _ = lines[at].partition(":")
        lines[at] = f"{key}{colon} {rng.choice(WORDS)}" if rng.random() < 0.9 else rng.choice(WORDS)
    return "\n".join(lines)


_directory = tempfile.TemporaryDirectory(prefix="gridbot-fuzz-")


def configured(text: str) -> str:
    path = Path(_directory.name) / "gridbot.yaml"
    path.write_text(text, encoding="utf-8", errors="replace", newline="")
    try:
        load_config(path, environ={})
    except ConfigError as error:
        return "refused" if str(error).replace("\n", "").isprintable() else "unprintable"
    return "read"
