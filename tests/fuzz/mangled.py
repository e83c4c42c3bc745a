"""How texts, values and files are damaged."""

import json

from hypothesis import strategies as st

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=8), st.lists(st.integers(),
    max_size=2), st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)  # fmt: skip


@st.composite
def mangled_value(draw: st.DrawFn, value: object) -> object:
    """Some value in it, at any depth, is another or gone."""
    inner = sorted(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    if inner and isinstance(value, dict | list) and draw(st.integers(0, 9)) > 0:
        key = draw(st.sampled_from(inner))
        items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        kept = [(name, one) for name, one in items if name != key or draw(st.integers(0, 9)) > 0]
        kept = [(name, draw(mangled_value(one)) if name == key else one) for name, one in kept]
        return dict(kept) if isinstance(value, dict) else [one for _, one in kept]
    return draw(JUNK)


@st.composite
def mangled_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Cut, overwritten, or with something put in."""
    at = draw(st.integers(0, len(content)))
    kind = draw(st.sampled_from(["cut", "over", "in", "all"]))
    if kind == "cut":
        return content[:at]
    junk = draw(st.binary(max_size=40))
    if kind == "all":
        return junk
    return content[:at] + junk + content[at + (len(junk) if kind == "over" else 0) :]


@st.composite
def mangled_json(draw: st.DrawFn, text: str) -> bytes:
    """JSON with another value somewhere, or no JSON."""
    if draw(st.integers(0, 3)) > 0:
        return json.dumps(draw(mangled_value(json.loads(text)))).encode()
    return draw(mangled_bytes(text.encode()))


@st.composite
def mangled_lines(draw: st.DrawFn, text: str, words: list[str]) -> bytes:
    """A text with words changed for others, lines lost, doubled or moved; now and then with its bytes damaged."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["word", "word", "word", "lose", "double", "move", "indent"]))
        if kind == "word":
            old, new = draw(st.sampled_from(words)), draw(st.sampled_from(words))
            lines[at] = lines[at].replace(old, new, 1) if old in lines[at] else f"{lines[at]}{new}"
        elif kind == "lose" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
        else:
            lines[at] = "  " + lines[at]
    content = "\n".join(lines).encode()
    return draw(mangled_bytes(content)) if draw(st.integers(0, 4)) == 0 else content
