"""The fast path of one account's records: from its worker to the writer, in messages that are whole or not there.

A pair of connected sockets on which the kernel keeps messages apart. It has no locks, no threads and no file, so a
death leaves nothing behind: a worker that is killed has sent a batch or it has not, a writer that is killed has taken
one or it has not, and the next process of either goes on with the same queue. A queue may lose anything: the journal
has it.
"""

from __future__ import annotations

import queue as queues
import socket
import struct
from typing import Final

__all__ = ["LARGEST_BATCH", "Batch", "QueueReceiver", "QueueSender", "record_queue"]

Batch = tuple[int, int, int, int, bytes]
"""What the queue carries: first and last number, segment and byte offset after the batch, frames."""

LARGEST_BATCH: Final = 128 * 1024
"""Bytes of frames in one message; the kernel needs that much in one piece."""
BUFFER_BYTES: Final = 4 * 1024 * 1024
"""What we ask for; most kernels give less to a user who may not ask for that much (some 400 kB)."""
TAKE_LIMIT: Final = 8 * 1024 * 1024

_HEAD: Final = struct.Struct("!4Q")


class QueueSender:
    """The worker's end. It can be given to a process that is started."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def put_nowait(self, batch: Batch, /) -> None:
        """Send a batch now. Raises queue.Full when it does not fit, OSError when the kernel refuses it."""
        *numbers, frames = batch
        if len(frames) > LARGEST_BATCH:
            raise queues.Full
        try:
            self._end.sendmsg((_HEAD.pack(*numbers), frames), (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            raise queues.Full from None

    def close(self) -> None:
        """Close this process's descriptor; the queue goes with the last one."""
        self._end.close()


class QueueReceiver:
    """The writer's end. It can be given to a process that is started."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def take(self) -> list[Batch]:
        """Everything that has arrived, at most about `TAKE_LIMIT` bytes. Never waits; raises OSError."""
        batches: list[Batch] = []
        room = memoryview(bytearray(_HEAD.size + LARGEST_BATCH))
        size = 0
        while size < TAKE_LIMIT:
            try:
                got = self._end.recv_into(room, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            if not got:  # every sender is gone
                break
            first, last, segment, offset = _HEAD.unpack_from(room)
            batches.append((first, last, segment, offset, bytes(room[_HEAD.size : got])))
            size += got
        return batches

    def close(self) -> None:
        """Close this process's descriptor; the queue goes with the last one."""
        self._end.close()


def record_queue(buffer_bytes: int = BUFFER_BYTES) -> tuple[QueueSender, QueueReceiver]:
    """The two ends of a new queue. Whoever keeps both can give them to one process after another. Raises OSError."""
    try:
        sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:  # a system without such sockets has datagrams, which keep messages apart as well
        sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end, size in ((sender, socket.SO_SNDBUF), (receiver, socket.SO_RCVBUF)):
        end.setsockopt(socket.SOL_SOCKET, size, buffer_bytes)
    return QueueSender(sender), QueueReceiver(receiver)
