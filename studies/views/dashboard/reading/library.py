"""The studies below one folder, followed by a thread; new ones appear as they are begun."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable
from largebatch.studies.views.dashboard.reading.live_study import LiveStudy

LOOK_SECONDS = 0.5
"""Between two looks at the studies' directories."""
SCAN_SECONDS = 3.0
"""Between two looks for new ones."""
_FILE = "study.yaml"


class Library:
    """Read while it is entered with ``with``."""

    def __init__(self, root: Path) -> None:
        """Find the studies.

        Raises:
            UserError: if there is none.
        """
        self._root = root
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="laws")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name="dashboard")
        self.studies: dict[str, LiveStudy] = {}
        """By the name of the folder below the root, the root's own if it is a study itself."""
        self._scan()
        if not self.studies:
            raise UserError(
                f"{root} holds no study, nor does a folder in it; give the --out of a `run`, or the folder above it"
            )

    def __enter__(self) -> "Library":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._executor.shutdown(cancel_futures=True)

    def version(self, key: str | None) -> int:
        """A number that grows with what can be seen of one study, or of all where ``key`` names none."""
        if key in self.studies:
            return self.studies[key].version
        return len(self.studies) + sum(study.version for study in list(self.studies.values()))

    def _follow(self) -> None:
        scanned = 0.0
        while True:
            if time.monotonic() - scanned > SCAN_SECONDS:
                self._scan()
                scanned = time.monotonic()
            for study in list(self.studies.values()):
                study.refresh()
                if self._over.is_set():
                    return
            if self._over.wait(LOOK_SECONDS):
                return

    def _scan(self) -> None:
        for path in _study_folders(self._root):
            key = printable(path.resolve().name if path == self._root else path.relative_to(self._root).as_posix())
            if key not in self.studies:
                self.studies = {**self.studies, key: LiveStudy(path, key, self._executor)}


def _study_folders(root: Path) -> list[Path]:
    """The root if it is a study, else the studies in it and in its folders."""
    if (root / _FILE).exists():
        return [root]
    found = []
    try:
        folders = sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []
    for folder in folders:
        if (folder / _FILE).exists():
            found.append(folder)
        else:
            found += sorted(path.parent for path in folder.glob(f"*/{_FILE}"))
    return found
