"""Where data that does not come with the package lies: a folder for each data set in ``LARGEBATCH_DATA``."""

import os
from pathlib import Path


def data_folder(name: str) -> Path | None:
    """``LARGEBATCH_DATA/name``, None where the variable is not set."""
    root = os.environ.get("LARGEBATCH_DATA")
    return Path(root).expanduser() / name if root else None
