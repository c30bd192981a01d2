"""Small real processes for the supervisor to hold: obedient, hanging, crashing, deaf. Entry functions for ChildSpec."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import resource
import secrets
import signal
import subprocess
import threading
import time
import uuid
from multiprocessing.connection import wait
from pathlib import Path
from queue import Full

import duckdb

from gridbot.process_guard import memory_is_closed
from supervisor.children.launch_arguments import TAKES_OVER
from supervisor.children.program_files import are_changed

BEAT_S = 0.05


def beat(account, **more):
    return {"type": "health", "account": account, "rss": 1, "health": "healthy", "freshness": "active", **more}


def worker(account, notes, url, queue, held, conn):
    """Obeys: reports, answers commands, ends on "stop", on SIGTERM or when the supervisor is gone.

    Commands for the strategies `bad`, `silence` and `alert` are refused, not answered, and followed by an alert.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    note(notes, f"{account} start {os.getpid()} {url}")
    conn.send({"type": "ready"})
    reason = "SIGTERM"
    seq = 0
    while not stop.is_set():
        seq += 1
        with contextlib.suppress(Full):  # while no writer runs
            queue.put_nowait((seq, seq, 0, 0, account.encode()))
        try:
            conn.send(beat(account, journal_seq=seq))
            message = conn.recv() if conn.poll(BEAT_S) else None
        except (EOFError, OSError):  # noticed when it reads, or when it writes, whichever comes first
            note(notes, f"{account} orphaned {os.getpid()}")
            return
        if message is not None:
            note(notes, f"{account} got {message['type']} {message.get('mode', message.get('seq', ''))}")
            if message["type"] == "stop":
                reason = message["mode"]
                break
            word = message["args"].get("strategy") if message["type"] == "command" else None
            late = time.monotonic() > message.get("expires_s", time.monotonic())
            if message["type"] == "command" and not late:
                note(notes, f"{account} carries out {message['name']}")
            if message["type"] == "command" and word != "silence":
                ok = word != "bad" and not late
                conn.send(
                    {
                        "type": "answer",
                        "id": message["id"],
                        "ok": ok,
                        "result": "done",
                        "error": "" if ok else "bad is not good",
                    }
                )
            if word == "alert":
                conn.send({"type": "alert", "level": "warning", "key": "k", "text": "look here"})
    with contextlib.suppress(OSError):  # nobody listens when the supervisor died
        did = {"left": []} if reason in ("cancel", "flatten") else {}
        conn.send({"type": "bye", "reason": reason, "exit_code": 0, **did})
    note(notes, f"{account} end")


def crashing(account, url, queue, held, conn):
    conn.send({"type": "ready"})
    raise RuntimeError("the wheel came off" + (" of one that took over" if TAKES_OVER in held else ""))


def begins(account, url, queue, held, conn):
    """Assembled when it is told so; ends when it is told once more."""
    conn.recv()
    conn.send({"type": "assembled", "account": account})
    conn.recv()


def exits(account, code, url, queue, held, conn):
    raise SystemExit(code)


def hanging(account, notes, url, queue, held, conn):
    """Ready, one report, then silent, as a process stuck in its loop."""
    note(notes, f"{account} start {os.getpid()} {url}")
    conn.send({"type": "ready"})
    conn.send(beat(account))
    while True:
        time.sleep(60)


def deaf(account, notes, url, queue, held, conn):
    """Reports but ignores every wish to end: message, SIGTERM, end of file."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(notes, f"{account} start {os.getpid()} {url}")
    conn.send({"type": "ready"})
    while True:
        with contextlib.suppress(OSError):
            conn.send(beat(account))
        time.sleep(BEAT_S)


def disk_worker(account, notes, place, url, queue, held, conn):
    """Needs room for a file before it works, as a worker does for its journal."""
    Path(place, account).write_bytes(b"x" * 65536)
    worker(account, notes, url, queue, held, conn)


def logging_worker(account, url, queue, held, conn):
    """Obedient; says a line on the console first."""
    logging.getLogger("gridbot").warning("a line of %s", account)
    worker(account, None, url, queue, held, conn)


def writer(notes, queues, report, life):
    """Counts what comes by queue and acknowledges it; "writer start" notes tell which queues it was given."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    note(notes, f"writer start {os.getpid()} {','.join(sorted(queues))}")
    report.send({"type": "ready"})
    committed = {}
    while not stop.is_set():
        for account, queue in queues.items():
            for _, last, _, _, frames in queue.take():
                assert frames == account.encode()
                committed[account] = last
        report.send({"type": "health", "rss": 1, "committed": committed, "lag_s": 0.0, "rows": sum(committed.values())})
        if wait([life], BEAT_S):
            return
    note(notes, "writer end")


def long_call(notes, queues, report, life):
    """A writer that is in DuckDB for as long as there is no file of its name with `.go` behind it."""
    note(notes, f"writer start {os.getpid()} ")
    report.send({"type": "ready"})
    with duckdb.connect(config={"threads": 1}) as con:
        while not Path(f"{notes}.go").exists():
            con.execute("SELECT sum(hash(range)) FROM range(10_000_000)").fetchall()
    while not wait([life], BEAT_S):
        report.send({"type": "health", "rss": 1, "committed": {}, "lag_s": 0.0, "rows": 0})


def paper(notes, port, report, life):
    """An exchange that only has an address."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    port = port or 4242
    note(notes, f"paper start {os.getpid()} {port}")
    report.send({"type": "ready", "url": f"http://127.0.0.1:{port}", "port": port, "pid": os.getpid()})
    while not stop.is_set():
        report.send({"type": "health", "rss": 1, "orders": 0, "trades": 0, "connections": 0, "market": "none"})
        if wait([life], BEAT_S):
            return
    note(notes, "paper end")


def note(notes, text):
    """One line with the time, appended in one write."""
    if notes is not None:
        with Path(notes).open("a") as file:
            file.write(f"{time.monotonic():.6f} {text}\n")


def crashing_paper(notes, port, report, life):
    raise OSError("no port is good enough")


def finite_paper(notes, port, report, life):
    """A replay that is over as soon as somebody keeps records."""
    report.send({"type": "ready", "url": "http://127.0.0.1:4242", "port": 4242, "pid": os.getpid()})
    while not (Path(notes).exists() and "writer start" in Path(notes).read_text()):
        if wait([life], BEAT_S):
            return


def odd(account, notes, url, queue, held, conn):
    """Says things nobody understands, then is a worker like the others."""
    conn.send({"type": "poem"})
    conn.send({"type": "answer", "id": "one"})  # no number: nobody has asked that
    conn.send({"type": "held"})
    worker(account, notes, url, queue, held, conn)


def orphaning(account, notes, url, queue, held, conn):
    """Dies with code 3 and leaves a process; its next life kills that, waits until it is reaped, then is a worker."""
    left = Path(f"{notes}.orphan")
    if not left.exists():
        shell = ["sh", "-c", "sleep 100 >/dev/null 2>&1 & echo $!"]
        left.write_text(subprocess.run(shell, capture_output=True, text=True, check=True).stdout)
        raise SystemExit(3)
    pid = int(left.read_text())
    os.kill(pid, signal.SIGKILL)
    while Path("/proc", str(pid)).exists():  # also as a zombie
        time.sleep(BEAT_S)
    note(notes, f"{account} orphan gone, adopted by {os.getppid()}")
    worker(account, notes, url, queue, held, conn)


def ends(account, end, url, queue, held, conn):
    """Waits for a message, then ends with this exit code, or by this signal if it is negative."""
    conn.recv()
    if end < 0:
        os.kill(os.getpid(), -end)
        time.sleep(60)
    raise SystemExit(end)


def stays(account, url, queue, held, conn):
    """Reads nothing; a signal ends it."""
    time.sleep(60)


def looks(account, url, queue, held, conn):
    """Tells what it finds in itself."""
    conn.send(
        {
            "type": "found",
            "pid": os.getpid(),
            "parent": os.getppid(),
            "group": os.getpgid(0),
            "threads": [thread.name for thread in threading.enumerate()],
            "descriptors": dict(_descriptors()),
            "stdin": os.readlink("/proc/self/fd/0"),
            "random": random.random(),
            "uuid": uuid.uuid4().hex,
            "secret": secrets.token_hex(),
            "collects": gc.isenabled(),
            "closed": memory_is_closed(),
            "changed": are_changed(),
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "draws": _draws_progress(),
        }
    )
    conn.recv()


def _draws_progress():
    """Whether DuckDB would draw the progress of a long statement on our standard output."""
    import duckdb

    with duckdb.connect() as con:
        [(draws,)] = con.execute("SELECT current_setting('enable_progress_bar')").fetchall()
        return draws


def _descriptors():
    """What is open beyond the standard streams."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that the list itself was read with
            if int(number) > 2:
                yield number, os.readlink(f"/proc/self/fd/{number}")


def counts(account, url, sockets, held, conn):
    """Says on each socket which one it is."""
    for number, each in enumerate(sockets):
        each.send(str(number).encode())
    conn.send({"type": "counted", "count": len(sockets)})
    conn.recv()
