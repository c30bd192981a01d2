"""The queue of an account: messages whole or not there, whoever dies, and nothing that waits."""

from __future__ import annotations

import os
import queue as queues
import signal
import socket
from typing import Any

import pytest

from gridbot.records import record_queue as module
from gridbot.records.record_queue import LARGEST_BATCH, QueueReceiver, QueueSender, record_queue
from tests.fork_server import CONTEXT


def batch(number: int, size: int = 100) -> module.Batch:
    return number, number + 1, 7, 2**40 + number, bytes([number % 256]) * size


def fill(sender: QueueSender, size: int = 1000) -> int:
    """Put until it is full; how many went in."""
    for number in range(1_000_000):
        try:
            sender.put_nowait(batch(number, size))
        except queues.Full:
            return number
    raise AssertionError("never full")


def put_for_ever(sender: QueueSender, started: Any) -> None:
    """A worker that does nothing but send, until it is killed."""
    number = 0
    while True:
        try:
            sender.put_nowait(batch(number, 20_000))
        except queues.Full:
            started.set()
            continue
        number += 1


def take_for_ever(receiver: QueueReceiver, started: Any) -> None:
    while True:
        if receiver.take():
            started.set()


def test_what_is_put_comes_out_whole_and_in_order() -> None:
    sender, receiver = record_queue()
    assert receiver.take() == []
    sent = [batch(number, size) for number, size in enumerate((1, 0, 100, LARGEST_BATCH))]
    for one in sent:
        sender.put_nowait(one)
    assert receiver.take() == sent
    assert receiver.take() == []


def test_a_full_queue_says_so_and_has_room_again() -> None:
    sender, receiver = record_queue(buffer_bytes=1)
    held = fill(sender)
    assert len(receiver.take()) == held > 0
    sender.put_nowait(batch(1))
    with pytest.raises(queues.Full):
        sender.put_nowait(batch(1, LARGEST_BATCH + 1))
    assert receiver.take() == [batch(1)]


def test_a_look_takes_a_bounded_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TAKE_LIMIT", 250)
    sender, receiver = record_queue()
    for number in range(5):
        sender.put_nowait(batch(number))
    assert [len(receiver.take()) for _ in range(3)] == [2, 2, 1]


def test_an_end_without_the_other() -> None:
    sender, receiver = record_queue()
    sender.put_nowait(batch(1))
    sender.close()
    assert receiver.take() == [batch(1)]
    assert receiver.take() == []
    sender, receiver = record_queue()
    receiver.close()
    with pytest.raises(OSError, match="Broken pipe"):
        sender.put_nowait(batch(1))


def test_a_system_without_such_sockets_has_datagrams(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socketpair

    def only_datagrams(family: int, kind: int) -> Any:
        if kind == socket.SOCK_SEQPACKET:
            raise OSError("Protocol not supported")
        return real(family, kind)

    monkeypatch.setattr(socket, "socketpair", only_datagrams)
    sender, receiver = record_queue()
    sender.put_nowait(batch(1))
    assert receiver.take() == [batch(1)]


def test_kill_9_in_the_middle_of_putting_leaves_whole_batches_and_a_queue_that_works() -> None:
    """A queue of `multiprocessing` was lost with its lock, and the writer had to be restarted for a new one."""
    sender, receiver = record_queue()
    for _ in range(3):
        started = CONTEXT.Event()
        worker = CONTEXT.Process(target=put_for_ever, args=(sender, started))
        worker.start()
        assert started.wait(30)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        taken = receiver.take()
        assert taken == [batch(number, 20_000) for number in range(len(taken))] != []
    sender.put_nowait(batch(1))
    assert receiver.take() == [batch(1)]


def test_kill_9_in_the_middle_of_taking_leaves_the_rest_to_the_next() -> None:
    sender, receiver = record_queue()
    started = CONTEXT.Event()
    reader = CONTEXT.Process(target=take_for_ever, args=(receiver, started))
    reader.start()
    number = 0
    while not started.is_set() or number < 1000:
        try:
            sender.put_nowait(batch(number))
            number += 1
        except queues.Full:
            continue
    os.kill(reader.pid or 0, signal.SIGKILL)
    reader.join()
    receiver.take()
    for number in range(3):
        sender.put_nowait(batch(number))
    assert receiver.take() == [batch(number) for number in range(3)]
