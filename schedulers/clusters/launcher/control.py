"""How the launchers of a job's nodes speak to each other: one TCP connection from each to the head's.

Each message is a line of JSON. The first from a client holds the job's token, else it is not heard. A connection that
ends is the news that its other side has ended; a file on a shared file system may show that a minute late.
"""

import contextlib
import hmac
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Control:
    """The head's side: ``on_message`` and ``on_end`` are called in threads, with a number for each connection."""

    def __init__(
        self, address: str, token: str, on_message: Callable[[int, Message], None], on_end: Callable[[int], None]
    ) -> None:
        self._token, self._on_message, self._on_end = token, on_message, on_end
        self._listener = socket.create_server((address, 0), backlog=1024)
        self.address = f"{address}:{self._listener.getsockname()[1]}"
        self._connections: dict[int, socket.socket] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def tell(self, number: int, message: Message) -> None:
        """Send to one."""
        with contextlib.suppress(OSError, KeyError):  # its end is told by its reader
            _send(self._connections[number], message)

    def close(self) -> None:
        """End all connections: the nodes end."""
        for connection in list(self._connections.values()):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _accept(self) -> None:
        number = 0
        while True:
            connection, _ = self._listener.accept()
            _notice_loss(connection)
            number += 1
            threading.Thread(target=self._hear, args=(number, connection), daemon=True).start()

    def _hear(self, number: int, connection: socket.socket) -> None:
        known = False
        try:
            with connection, connection.makefile("r") as lines:
                for line in lines:
                    message = json.loads(line)
                    if not known:
                        if not hmac.compare_digest(str(message.pop("token", "")), self._token):
                            return
                        known = True
                        self._connections[number] = connection
                    self._on_message(number, message)
        except (OSError, ValueError):
            pass
        finally:
            if known:
                del self._connections[number]
                self._on_end(number)


class ToHead:
    """A client's side, connected and known to the head.

    Raises:
        OSError: if nobody listens.
    """

    def __init__(self, address: str, token: str, message: Message) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=10)
        self._socket.settimeout(None)
        _notice_loss(self._socket)
        self._lines = self._socket.makefile("r")
        self.own_address = str(self._socket.getsockname()[0])
        self.tell({"token": token, **message})

    def tell(self, message: Message) -> None:
        """Send."""
        _send(self._socket, message)

    def hear(self) -> Message | None:
        """The next message; None once the head has ended."""
        try:
            line = self._lines.readline()
        except OSError:
            return None
        return json.loads(line) if line else None

    def close(self) -> None:
        """End it."""
        self._lines.close()
        self._socket.close()


def _send(connection: socket.socket, message: Message) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def _notice_loss(connection: socket.socket) -> None:
    """A machine that lost its power says no goodbye: ask every 10 s, three times."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
