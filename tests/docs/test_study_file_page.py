"""The page of study-file keys is what the models say today."""

import runpy
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def test_the_page_is_made_from_the_models() -> None:
    made = runpy.run_path(str(FOLDER / "study_file.py"))["page"]()
    assert made == (FOLDER / "study-file.md").read_text(), "run python docs/reference/study_file.py"


def test_every_key_is_explained() -> None:
    rows = [line for line in (FOLDER / "study-file.md").read_text().splitlines() if line.startswith("| `")]
    unsaid = [row for row in rows if row.endswith("|  |") and "`name`" not in row and "`low`" not in row]
    assert len(rows) > 60
    assert [row for row in unsaid if "`high`" not in row] == []
