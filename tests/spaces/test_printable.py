"""Others' texts: escaped where a terminal would obey them or no file could hold them, and else as they are."""

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable, printable_values
from largebatch.spaces.trial import Ending, Outcome


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("caf\udce9.png", r"caf\xe9.png"),
        ("half \ud83d", r"half \ud83d"),
        ("\x1b]0;owned\x07\x1b[2K", r"\x1b]0;owned\x07\x1b[2K"),
        ("over\rwritten\x9b2J\x7f", r"over\x0dwritten\x9b2J\x7f"),
        ("\u202egnp.exe\u2069", r"\u202egnp.exe\u2069"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("café 5 °C λ 学習 👩‍🔬", "café 5 °C λ 学習 👩‍🔬"),
    ],
)
def test_a_text_is_shown_as_it_is_or_escaped_once(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
    assert shown.encode().decode() == shown


def test_all_texts_of_plain_values() -> None:
    assert printable_values({"a\x1b": ["\udce9", 1, None, {"b": 2.5}]}) == {r"a\x1b": [r"\xe9", 1, None, {"b": 2.5}]}


def test_messages_and_endings_are_printable_by_themselves() -> None:
    assert str(UserError("caf\udce9")) == r"caf\xe9"
    ending = Ending(outcome=Outcome.FAILED, step=0, examples=0, seconds=0.0, reason="\x1b[1mcaf\udce9")
    assert ending.reason == r"\x1b[1mcaf\xe9"
