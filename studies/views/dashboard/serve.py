"""Serve the dashboard from this process until it is interrupted."""

import ipaddress
import logging
import os
import socket
from http.server import HTTPServer
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from largebatch.spaces.errors import UserError
from largebatch.studies.views.dashboard.app import make_app
from largebatch.studies.views.dashboard.guard import guard, new_token
from largebatch.studies.views.dashboard.reading.library import Library

PATIENCE_SECONDS = 30.0


class Handler(WSGIRequestHandler):
    """Ends a connection over which nothing comes: each holds a thread."""

    timeout = PATIENCE_SECONDS


def serve(root: Path, *, host: str, port: int, control: bool) -> None:
    """Print the address, then answer browsers; ``port`` 0 takes a free one.

    Raises:
        UserError: if there is no study, or the address cannot be listened on.
    """
    _refuse_everywhere(host)
    token = new_token() if control else None
    with Library(root) as library:
        app = make_app(library, token)
        guard(app.server, host, app.csp_hashes())
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        try:
            listening = socket.create_server((host, port), family=_family(host))
        except OSError as error:
            raise UserError(
                f"{host}:{port} cannot be listened on: {_cause(error)}; choose another --port, or 0 for a free one"
            ) from error
        with listening:
            own_port = listening.getsockname()[1]
            server = make_server(
                host, own_port, app.server, threaded=True, request_handler=Handler, fd=listening.fileno()
            )
            shown = f"[{host}]" if ":" in host else host
            address = f"http://{shown}:{own_port}/"
            print(f"Dashboard of {root}: {address}{f'?token={token}' if token else ''}", flush=True)
            try:
                HTTPServer.serve_forever(server)  # werkzeug's own takes Ctrl-C for an ordinary end
            finally:
                server.server_close()


def _refuse_everywhere(host: str) -> None:
    """To listen on every address of the machine takes its full name: an empty one, or 0, is a slip.

    Raises:
        UserError: if ``host`` means every address and does not say so, or is none.
    """
    try:
        ipaddress.ip_address(host)
        return
    except ValueError:
        pass
    try:
        found = ipaddress.ip_address(socket.gethostbyname(host)) if host.strip() else None
    except (OSError, ValueError) as error:
        raise UserError(f"--host: no address is called {host!r:.100} ({error}); 127.0.0.1 is this machine") from error
    if found is None or found.is_unspecified or found.is_multicast or str(found) == "255.255.255.255":
        raise UserError(
            f"--host must be one address or name of this machine, as in 127.0.0.1; got {host!r:.100}. To listen on "
            f"every address, say so: 0.0.0.0 or ::"
        )


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _cause(error: OSError) -> str:
    """What went wrong, without the address that socket adds; a name that is none has no such number."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror)
