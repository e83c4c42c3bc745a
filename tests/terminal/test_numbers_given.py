"""Lists of whole numbers on the command line: ranges, and their ends."""

import pytest

from largebatch.spaces.errors import UserError
from largebatch.studies.commands.options import counts, listed


def test_ranges_and_single_numbers() -> None:
    assert counts("--workers", "8,1-4,2") == [1, 2, 3, 4, 8]
    assert listed("--predict-batch", "64,32,64") == [64, 32, 64]
    assert len(counts("--workers", "1-4096") or []) == 4096


@pytest.mark.parametrize("text", ["1-99999999", "1-10001", "1-9999,1-2", "1-999999999999"])
def test_too_many_are_refused_at_once(text: str) -> None:
    with pytest.raises(UserError, match="--workers takes at most 10,000 numbers"):
        counts("--workers", text)


@pytest.mark.parametrize("text", ["", "0", "1,x", "8-1", "1,8-1", "-3", "1" + "0" * 13, "9" * 5000, "1.5"])
def test_what_is_no_list_of_whole_numbers(text: str) -> None:
    with pytest.raises(UserError, match="--predict must be whole numbers from 1 on") as refused:
        listed("--predict", text)
    assert len(str(refused.value)) < 200
