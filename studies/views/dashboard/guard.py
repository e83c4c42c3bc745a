"""Who may ask what: the Host header against DNS rebinding, a token for control, and nothing loaded from elsewhere."""

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request


def new_token() -> str:
    """What the start-up address carries and no other page can guess."""
    return secrets.token_urlsafe(24)


def may_control(token: str | None, given: object) -> bool:
    """Whether a browser has the token; never where the dashboard is read-only, which has none."""
    return token is not None and isinstance(given, str) and hmac.compare_digest(token.encode(), given.encode())


def is_own_host(header: str, own: str) -> bool:
    """Whether a Host header can be ours: a numeric address, this machine's name, or the one that we were told.

    A page of another site that has its own name resolve to our address (DNS rebinding) comes with its own name.
    """
    try:
        name = (urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {"localhost", own.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    return True


def guard(server: Flask, own: str, script_hashes: Sequence[str]) -> None:
    """Refuse other hosts, and tell browsers to load and to frame nothing from elsewhere.

    plotly.js compiles its WebGL programs, for which it needs ``unsafe-eval``.
    """
    scripts = " ".join(["'self'", "'unsafe-eval'", *script_hashes])
    policy = (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    )

    @server.before_request
    def _refuse_others() -> None:
        if not is_own_host(request.host, own):
            abort(403, "This address is not the dashboard's own.")

    @server.after_request
    def _seal(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
