"""Commands typed in this process, and how many cases a test tries."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, settings

from largebatch.studies.cli import command

from ..effort import TIMES


def cases(count: int) -> settings:
    """So many in CI; quick to write off an example, for each is a whole command."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        derandomize=TIMES == 1,  # CI tries the same cases each time
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@dataclass(frozen=True, slots=True)
class Typed:
    code: int
    output: str
    errors: str


def typed(*arguments: str | Path) -> Typed:
    """What `largebatch ARGUMENTS` does."""
    output, errors = io.StringIO(), io.StringIO()
    words = ["largebatch", *map(str, arguments)]
    with (
        mock.patch.object(sys, "argv", words),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        code = command()
    return Typed(code, output.getvalue(), errors.getvalue())


def answered(*arguments: str | Path) -> Typed:
    """The same; it must have been an answer, or a sentence and exit code 2."""
    result = typed(*arguments)
    told = f"{' '.join(map(str, arguments))}\n{result.errors}"
    assert "Traceback" not in result.errors, told
    assert result.code in (0, 2), told
    assert (result.code == 2) == bool(result.errors), told
    if result.code == 2:
        assert result.errors.startswith(("largebatch: ", "Usage")), told
    return result
