"""Ray for the time of a study, in the environment that it is to find.

Ray reads much of its environment when it is imported, so this module imports it late; and nothing else, for the rest
can be imported while Ray's processes start.
"""

import logging
import os
import secrets
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from largebatch.schedulers.clusters.ray_settings import SETTINGS
from largebatch.spaces.errors import UserError
from largebatch.trainers.workers.failure import describe

if TYPE_CHECKING:
    from largebatch.studies.running.interruption import Leaving

_ALONE = {
    # What Ray does by default on macOS: the node's own address is 127.0.0.1, and all its servers listen there alone.
    # `_node_ip_address` by itself does not: Ray puts an address that others can reach in its place.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "GLOO_SOCKET_IFNAME": next(name for _, name in socket.if_nameindex() if name.startswith("lo")),
}
"""For a Ray of our own: nothing outside of this machine can reach it."""


@contextmanager
def ray_cluster(address: str | None, leaving: "Leaving | None" = None) -> Iterator[None]:
    """A cluster at ``address``, else a Ray of our own on this machine that ends with the ``with``.

    Args:
        address: HOST:PORT, or ``auto``.
        leaving: Is told when this Ray is gone.

    Raises:
        UserError: if nothing answers at ``address``, or if Ray does not start here.
    """
    if address is not None:
        from largebatch.schedulers.clusters.address import ray_address

        address = ray_address(address)
    _prepare_environment(address)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    # "local": or Ray would join whichever cluster somebody started here, or wait 15 minutes for one that is gone.
    own = {"address": "local", "_node_ip_address": "127.0.0.1"} if address is None else {"address": address}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' deprecations are nothing that a user can mend
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **own)
        except Exception as error:  # of a Ray that does not start some are no more than that
            if address is None:
                raise UserError(
                    f"Ray did not start on this machine ({describe(error)}), and nothing was changed; "
                    f"`largebatch doctor` looks for what is in its way, the same command tries again, and with "
                    f"--in-process it does without Ray"
                ) from error
            if not isinstance(error, ConnectionError):
                raise
            raise UserError(
                f"--address {address}: no Ray cluster answers ({error}); start one with `ray start --head`, and set "
                f"RAY_AUTH_MODE to the same value for it and for largebatch"
            ) from error
        from largebatch.studies.running.engines.ray_health import watched_head

        try:
            with nullcontext() if leaving is None else watched_head(leaving):
                yield
        finally:
            ray.shutdown()


def _prepare_environment(address: str | None) -> None:
    """Set what Ray reads; usage statistics stay off unless the user turned them on.

    A cluster of our own (no ``address``) listens on this machine alone and asks for a token that only this process and
    its children know; the mode is always explicit, for Ray's default differs between its head and its workers. A Ray
    that is imported already keeps its mode.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.update(SETTINGS)
    if address is None and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ.update(_ALONE)
