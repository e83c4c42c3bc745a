"""Ray for the time of a study, in the environment that it is to find.

Ray reads much of its environment when it is imported, so this module imports it late; and nothing else, for the rest
can be imported while Ray's processes start.
"""

import logging
import os
import secrets
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from largebatch.spaces.user_mistake import UserMistake

_SETTINGS = {
    # glibc gives freed tensors back to the system, and every step faults them in again: 11,000 faults a step at batch
    # 1,024 of `digits`, a quarter of its time. Workers keep what they freed.
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a user's task is imported from the folder where largebatch runs
    "RAY_DEDUP_LOGS_SKIP_REGEX": "worker processes have been started",  # so many actors is what we mean
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a dead worker is noticed at once, not after 2 s
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_V2_ENABLED": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # our ledger is the record
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: Tune would wait for its own checkpoint
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's state is never read again
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@contextmanager
def ray_cluster(address: str | None) -> Iterator[None]:
    """A cluster at ``address``, else a Ray of our own on this machine that ends with the ``with``."""
    _prepare_environment(address)
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    # "local": or Ray would join whichever cluster somebody started here, or wait 15 minutes for one that is gone.
    own = {"address": "local", "_node_ip_address": "127.0.0.1"} if address is None else {"address": address}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties' deprecations are nothing that a user can mend
        try:
            ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, **own)
        except ConnectionError as error:
            raise UserMistake(
                f"--address {address}: no Ray cluster answers ({error}); start one with `ray start --head`, and set "
                f"RAY_AUTH_MODE to the same value for it and for largebatch"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()


def _prepare_environment(address: str | None) -> None:
    """Set what Ray reads; usage statistics stay off unless the user turned them on.

    A cluster of our own (no ``address``) asks for a token that only this process and its children know; the mode is
    always explicit, for Ray's default differs between its head and its workers. A Ray that is imported already keeps
    its mode.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.update(_SETTINGS)
    if address is None and "ray" not in sys.modules:
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
