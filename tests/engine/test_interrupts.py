"""A Ctrl-C that lands where Python drops exceptions still ends the study."""

import os
import signal

import pytest

from largebatch.studies.engine.interrupts import kept_interrupts


class Swallows:
    """Its finaliser is interrupted: Python cannot raise from there."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        sum(range(1000))  # the handler runs between two of these


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_in_a_finaliser_is_raised_at_the_next_check() -> None:
    before = signal.getsignal(signal.SIGINT)
    with kept_interrupts() as check:
        check()
        swallows = Swallows()
        del swallows
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is before
