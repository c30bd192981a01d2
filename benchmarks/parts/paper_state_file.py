"""What a state file adds to the cost of an order: two exchanges take turns, one of them with a state file."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

from benchmarks.parts.paper_alone import alone
from benchmarks.parts.paper_requests import (
    ACCOUNTS,
    cancel_all,
    client,
    configuration,
    exchange,
    percentile,
    precise_cpu_s,
    raw_request,
    report,
    signed_order,
)
from gridbot.paper.api.dispatch import Api
from gridbot.paper.storage.exchange_file import ExchangeFile

__all__ = ["state_file_in_process", "state_file_over_a_socket"]

BLOCK = 20  # requests in a row to one of the two


def state_file_in_process(blocks: int) -> None:
    """What a state file costs, the exchange's own work alone: two exchanges take turns, one with a state file."""
    used: dict[bool, list[float]] = {False: [], True: []}
    topics = {"order", "execution", "position", "wallet"}
    for start in range(blocks):
        with tempfile.TemporaryDirectory() as directory:
            file, exchanges = ExchangeFile(Path(directory) / "state.json"), (alone(topics), alone(topics))
            file.open(exchanges[1])
            apis, requests = [Api(exchange) for exchange in exchanges], [signed_order(n) for n in range(400)]
            for first in range(0, len(requests), BLOCK):
                for kept in ((first // BLOCK + start) % 2 == 0, (first // BLOCK + start) % 2 == 1):
                    before = time.thread_time()
                    for headers, body in requests[first : first + BLOCK]:
                        apis[kept].handle("POST", "/v5/order/create", headers, body, 1000)
                        if kept:
                            file.write_changes()
                        exchanges[kept].outbox.take()
                    used[kept].append((time.thread_time() - before) / BLOCK)
            file.close()
    report_pair("state file: create-order in process, four private topics", used)


def state_file_over_a_socket(blocks: int) -> None:
    """The same with whole servers: two take turns at blocks of requests over a bare socket."""
    used: dict[bool, list[float]] = {False: [], True: []}
    with (
        tempfile.TemporaryDirectory() as directory,
        exchange(configuration()) as without,
        exchange(configuration(state_file=Path(directory) / "state.json")) as kept,
    ):
        for block in range(blocks):
            for has_file in (block % 2 == 0, block % 2 == 1):
                url, process = kept if has_file else without
                requests = [raw_request(number, ACCOUNTS[0]) for number in range(400)]
                host, port = url.removeprefix("http://").split(":")
                with socket.create_connection((host, int(port))) as connection:
                    for first in range(0, 400, BLOCK):
                        before = precise_cpu_s(process)
                        for request in requests[first : first + BLOCK]:
                            connection.sendall(request)
                            assert b'"retCode":0' in connection.recv(65536)
                        used[has_file].append((precise_cpu_s(process) - before) / BLOCK)
                cancel_all(client(url))
    report_pair("state file: create-order over a bare socket", used)


def report_pair(what: str, used: dict[bool, list[float]]) -> None:
    """A tenth of the blocks are cheaper than the figure: other load on the machine only ever adds."""
    without, kept = (percentile(used[has_file], 0.1) * 1e6 for has_file in (False, True))
    report(
        what,
        blocks=len(used[True]),
        cpu_us_without=round(without, 1),
        cpu_us_with=round(kept, 1),
        more_us=round(kept - without, 1),
        more_percent=round((kept / without - 1) * 100, 1),
    )
