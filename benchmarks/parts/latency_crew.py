"""The processes of `benchmarks/latency.py` from the parent's side: started, heard, ended."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.parts.latency_exchange import exchange_process
from benchmarks.parts.latency_flame import Flame
from benchmarks.parts.latency_loops import bare_process
from benchmarks.parts.latency_subjects import CREATED, TOTAL_TIMEOUT_S, WRITTEN, BenchmarkError, Subject, Trace
from benchmarks.parts.latency_tls import Authority
from benchmarks.parts.latency_worker import worker_process
from gridbot.records.record_queue import QueueReceiver, record_queue
from supervisor.store.writer import WriterSpec
from supervisor.store.writer_process import run_writer

CONTEXT = multiprocessing.get_context("forkserver")
"""As in the product, each process is a fork of one that has imported everything, this module: a second of a core less
for each."""


class Crew:
    """The processes of a run. On leaving, every one of them is ended."""

    def __init__(self) -> None:
        self._members: dict[str, tuple[BaseProcess, Connection]] = {}
        self._over: set[str] = set()
        """Those that have said their last, and may end at any time."""
        self._deadline_s = time.monotonic() + TOTAL_TIMEOUT_S
        self._writer: tuple[BaseProcess, Connection, Connection] | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *exc: object) -> None:
        for _, control in self._members.values():
            control.close()
        processes = [process for process, _ in self._members.values()]
        if self._writer is not None:
            self._writer[2].close()
            processes.append(self._writer[0])
        for child in processes:
            child.join(5.0)
            if child.is_alive():
                child.kill()
                child.join()

    def pipe(self) -> tuple[Connection, Connection]:
        return CONTEXT.Pipe()

    def start(self, name: str, entry: Callable[..., None], *args: Any) -> None:
        """The child gets its end of a control pipe as last argument."""
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(target=entry, args=(*args, theirs), name=name, daemon=True)
        process.start()
        theirs.close()
        self._members[name] = process, ours

    def start_writer(self, data_dir: Path, queues: dict[str, QueueReceiver]) -> None:
        health, health_end = CONTEXT.Pipe()
        life, life_end = CONTEXT.Pipe()
        spec = WriterSpec(data_dir, tuple(queues))
        writer = CONTEXT.Process(target=run_writer, args=(spec, queues, health_end, life_end), daemon=True)
        writer.start()
        life_end.close()
        self._writer = writer, health, life  # the pipe is kept open: the writer reports into it

    def pid(self, name: str) -> int:
        return self._members[name][0].pid or 0

    def tell(self, name: str) -> None:
        self._members[name][1].send("go on")

    def hear(self, name: str, key: str) -> Any:
        """The next message of a child; also listens whether another one has failed."""
        while True:
            for other, (process, control) in self._members.items():
                if other in self._over:
                    continue
                if control.poll(0.0 if other != name else 0.1):
                    message = _receive(other, control)
                    if "error" in message:
                        raise BenchmarkError(f"{other}: {message['error']}")
                    if other == name:
                        return message[key]
                elif not process.is_alive():
                    raise BenchmarkError(f"{other} ended with {process.exitcode}")
            if time.monotonic() > self._deadline_s:
                raise BenchmarkError(f"not done after {TOTAL_TIMEOUT_S:.0f} s")

    def hear_last(self, name: str, key: str) -> Any:
        """The last message of a child, which ends then."""
        said = self.hear(name, key)
        self._over.add(name)
        return said


def _receive(name: str, control: Connection) -> dict[str, Any]:
    try:
        message: dict[str, Any] = control.recv()
    except (EOFError, OSError):
        raise BenchmarkError(f"{name} ended before it was told to") from None
    return message


@dataclass(frozen=True, slots=True)
class Measured:
    """Stamps of each order of each subject, both sides joined, in the order of the orders; CPU of a quiet ticker."""

    traces: dict[str, list[Trace]]
    quiet_us: dict[str, float | None]


def measure(
    orders: int,
    quiet: int,
    subjects: Sequence[Subject],
    data_dir: Path,
    flame: Flame | None = None,
    *,
    pause_s: float = 0.0,
) -> Measured:
    """`orders` orders of each subject, with a pause before each price; then `quiet` tickers that change nothing for
    each worker."""
    with Crew() as crew:
        authority = Authority.make(data_dir) if any(subject.tls for subject in subjects) else None
        signals = {subject.name: crew.pipe() for subject in subjects}
        ends = {name: ends[0] for name, ends in signals.items()}
        crew.start("exchange", exchange_process, orders, quiet, pause_s, list(subjects), authority, ends)
        urls = crew.hear("exchange", "urls")
        queues = {subject.name: record_queue() for subject in subjects if subject.is_worker}
        if queues:
            crew.start_writer(data_dir, {name: receiver for name, (_, receiver) in queues.items()})
        for subject in subjects:
            name, signal = subject.name, signals[subject.name][1]
            ca = authority.certificate if authority is not None and subject.tls else None
            if subject.is_worker:
                profile = None if flame is None else flame.profile
                args = (subject, urls[name], ca, data_dir, queues[name][0], profile, signal)
                crew.start(name, worker_process, *args)
            else:
                crew.start(name, bare_process, subject, urls[name], ca, signal)
        watching = None if flame is None else flame.watch(crew.pid(subjects[0].name))
        taken = crew.hear("exchange", "taken")
        if flame is not None:
            flame.end(watching)
        joined = {}
        for subject in subjects:
            crew.tell(subject.name)
            traces = crew.hear_last(subject.name, "traces")
            joined[subject.name] = [
                {WRITTEN: written, **traces[link_id], CREATED: created}
                for link_id, written, created in taken["orders"][subject.name]
            ]
        return Measured(joined, taken["quiet_us"])
