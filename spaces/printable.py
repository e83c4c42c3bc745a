"""Others' texts without what a terminal would obey or no file could hold.

Messages of errors, names of files and users, and texts of studies that others share are recorded and shown. A terminal
obeys control characters (an escape sequence may rename its window or hide a line), directional ones show a text in
another order than it has, and a lone surrogate, as in the name of a file of a Latin-1 disk, cannot be encoded.
"""

import re
from typing import Any

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tabs and line feeds, separators of lines, directional overrides, surrogates."""


def printable(text: str) -> str:
    """``text`` with each such character as an escape, as in ``caf\\xe9.png``; printed again it stays the same."""
    return text if text.isprintable() else _UNPRINTABLE.sub(_escape, text)


def printable_values(value: Any) -> Any:
    """Plain values, as of JSON, with all texts in them printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {printable_values(key): printable_values(inner) for key, inner in value.items()}
    return [printable_values(inner) for inner in value] if isinstance(value, list) else value


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # Python's stand-in for a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
