"""Ctrl-C that cannot be lost.

Python raises KeyboardInterrupt wherever the main thread happens to be; inside a finaliser or a callback of a library's
C code it is printed or dropped, and a study would go on as if nothing had been asked.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def kept_interrupts() -> Iterator[Callable[[], None]]:
    """Remember Ctrl-C: the function that is yielded raises the KeyboardInterrupt again that something swallowed."""
    asked = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        asked.set()
        raise KeyboardInterrupt

    def check() -> None:
        if asked.is_set():
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield check
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)
