"""Every code block of the tutorials runs, in the order of the page."""

from pathlib import Path

import pytest

from .blocks import Block, blocks, run_document

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
NEEDS = {"lightning.md": ["lightning"], "huggingface.md": ["transformers", "datasets"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_every_block_runs(name: str, tmp_path: Path) -> None:
    for package in NEEDS.get(name, []):
        pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    assert run_document(TUTORIALS / name, tmp_path) >= 2


PAGE = """\
```python
# made.py
VALUE = 3
```
```text
nothing
```
<!-- not run: it fails -->
```sh
false
```
```console
$ python -c 'import made; print("value", made.VALUE + 0.5, "s"); print("more")'
value   17 s
..
```
"""


def test_blocks_are_found_and_their_words_compared(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    first, second = blocks(PAGE)
    assert first == Block(language="python", text="# made.py\nVALUE = 3\n", line=1)
    assert second.language == "console"
    assert run_document(page, tmp_path) == 2
    page.write_text(PAGE.replace("value   17 s", "volume 3.5 s"))
    with pytest.raises(AssertionError, match=r"page\.md:12: not printed: volume 3.5 s"):
        run_document(page, tmp_path)
    page.write_text("```python\nraise SystemExit(3)\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        run_document(page, tmp_path)
