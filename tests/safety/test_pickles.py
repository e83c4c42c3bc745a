"""A pickle in the place of any file of a study directory runs nothing, whichever command reads it."""

import os
import pickle
import shutil
from pathlib import Path

import pytest

from largebatch.studies.views.dashboard.reading.library import Library

from ..fuzz.studies import TEXT
from ..fuzz.typed import typed


class Malicious:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for real, so that a resumed run goes as far as its checkpoints."""
    folder = tmp_path_factory.mktemp("pickles")
    text = TEXT.replace("trials: 9, examples_per_trial: 4000", "trials: 4, examples_per_trial: 3000")
    (folder / "small.yaml").write_text(text + "target: {metric: val_accuracy, above: 0.6}\n")
    result = typed("run", folder / "small.yaml", "--out", folder / "small", "--in-process")
    assert result.code == 0, result.errors
    trained = typed("train", folder / "small", "--workers", "1", "--in-process", "--examples", "400")
    assert trained.code == 0, trained.errors
    (folder / "small" / "checkpoints" / "trial-000004.pt").touch()  # that of the trial to come
    return folder / "small"


def files(folder: Path) -> list[str]:
    fixed = ["study.yaml", "ledger.log", "profile.json", "plan.json", "checkpoints/trial-000004.pt"]
    found = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    assert set(fixed) <= set(found)
    return sorted(found)


def test_a_pickle_in_the_place_of_any_file_never_runs(study: Path, tmp_path: Path) -> None:
    mark, out = tmp_path / "it-ran", tmp_path / "small"
    content = pickle.dumps(Malicious(mark))
    pickle.loads(content)
    assert mark.exists(), "the pickle would do it"
    mark.unlink()
    tried = set()
    for name in files(study):
        if name.startswith("curves/") and "curves" in tried:  # one stands for all
            continue
        tried.add(name.partition("/")[0])
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(study, out)
        (out / name).write_bytes(content)
        for words in (("show", out), ("plan", out), ("report", out, "--markdown", tmp_path / "page.md")):
            assert typed(*words).code in (0, 2), name
            assert not mark.exists(), (name, words)
        if name.startswith(("curves", "checkpoints", "train", "profile", "ledger", "study")):
            typed("train", out, "--workers", "1", "--in-process", "--examples", "800")
            assert not mark.exists(), (name, "train")
        if name.startswith(("checkpoints", "curves", "ledger", "study")):
            typed("run", study.parent / "small.yaml", "--out", out, "--in-process", "--budget-trials", "5")
            assert not mark.exists(), (name, "run")
        with Library(out.parent) as library:
            for live in library.studies.values():
                live.refresh()
                live.curve(1)
        assert not mark.exists(), (name, "dashboard")
    assert {"checkpoints", "train", "curves"} <= tried
