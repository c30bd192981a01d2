"""The process that reads the records for the page: `python -m supervisor.web.record_process DATA_DIR HOLD_S [fleet]`.

A line of JSON on standard input is a request; the answer is a line of JSON with `status`, `size` and `file`, and the
bytes of the body. With `fleet` the first line says where PostgreSQL is, which no argument may have. It ends with its
input, so also with the process of the page. DuckDB, and what it does when its memory is used up, is nowhere but here.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import orjson

from gridbot.doors.bounded_json import read_json
from gridbot.private_files import PRIVATE_UMASK
from gridbot.process_guard import close_memory, leave_no_core
from supervisor.web.record_desk import RecordDesk
from supervisor.web.record_file import RecordFile, Records
from supervisor.web.web_spec import FLEET, downloads_directory

__all__ = ["main", "serve"]


def main(data_dir: Path, hold_s: float, *, of_fleet: bool = False) -> None:
    """Answer until the input ends."""
    os.umask(PRIVATE_UMASK)
    leave_no_core()
    if of_fleet:
        close_memory()
    serve(RecordDesk(data_dir, _records(data_dir, hold_s, of_fleet)), sys.stdin.buffer, sys.stdout.buffer)


def _records(data_dir: Path, hold_s: float, of_fleet: bool) -> Records:
    if not of_fleet:
        return RecordFile(data_dir, hold_s=hold_s)
    told = read_json(sys.stdin.buffer.readline())
    dsn = str(told["dsn"])
    from supervisor.web.hosts_records import FleetRecords  # not earlier: a host alone has no use for it

    return FleetRecords(lambda: dsn, downloads_directory(data_dir), str(told["history"]) or True)


def serve(desk: RecordDesk, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer line by line."""
    give_back = _give_back()
    for line in requests:
        reply = desk.answer(read_json(line))
        head = {"status": reply.status, "size": len(reply.body), "file": reply.file}
        replies.write(orjson.dumps(head) + b"\n" + reply.body)
        replies.flush()
        give_back()


def _give_back() -> Callable[[], object]:
    """What returns freed memory to the system: glibc keeps some 4 MB of each question, though the next is seconds away.

    Nothing where the C library has no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return (lambda: None) if trim is None else (lambda: trim(0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), of_fleet=sys.argv[3:] == [FLEET])
