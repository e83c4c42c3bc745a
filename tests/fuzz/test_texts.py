"""Study files and CSVs as people write them, and as nobody would: a value, an answer, or a sentence."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.errors import UserError
from largebatch.spaces.space import Space
from largebatch.studies.question.study_file import parse_study, study_text

from .mangled import JUNK, mangled_lines, mangled_value
from .studies import TEXT
from .test_files import WORDS
from .typed import answered, cases

CSV = """\
group,global_batch_size,steps,censored,learning_rate,num_workers,seconds
a,16,1000,0,0.1,1,100
a,32,520,0,0.2,2,60
a,64,300,0,0.3,4,30
a,128,210,0,0.4,8,22
a,256,170,1,0.4,8,20
b,16,100,0,0.1,1,3
b,64,90,0,0.1,4,2
"""
CELLS = [
    "0", "-1", "1e308", "1e-308", "5e-324", "nan", "inf", "", "x", ",", '"', "16", "32", "64", "128", "a", "b", "steps",
    "epochs", "examples", "step_seconds", "seconds", "censored", "group", "1e17", "0.5", ";", "\t", "\0", "é", "yes",
]  # fmt: skip


@cases(100)
@given(mangled_lines(TEXT, WORDS))
def test_study_files(content: bytes) -> None:
    text = content.decode(errors="replace")
    try:
        study = parse_study(text, "small.yaml")
    except UserError:
        return
    assert parse_study(study_text(study), "again.yaml") == study


def test_a_study_file_is_refused_by_run_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"

    @cases(20)
    @given(mangled_lines(TEXT, WORDS))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        try:
            parse_study(content.decode(), "small.yaml")
        except (UserError, UnicodeDecodeError):
            assert answered("run", path, "--out", tmp_path / "out").code == 2
            assert not (tmp_path / "out").exists()

    check()


SPACE = {
    "global_batch_size": {"low": 32, "high": 256, "scale": "log2"},
    "norm_batch_size": {"choices": [32, 64]},
    "learning_rate": {"low": 1e-3, "high": 1.0, "scale": "log"},
    "optimizer": {"choices": ["sgd", "adam"]},
    "momentum": {"low": 0.8, "high": 0.99, "scale": "log1m", "when": {"optimizer": ["sgd"]}},
    "task.width": 3,
}


@cases(100)
@given(mangled_value(SPACE), st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_spaces_come_back_and_hold_what_they_give(data: object, places: list[float]) -> None:
    try:
        space = Space.model_validate(data)
    except ValueError:  # pydantic's own
        return
    assert Space.model_validate(space.model_dump()) == space
    assert Space.model_validate(json.loads(space.model_dump_json())) == space
    for place, (name, domain) in zip(places, space.root.items(), strict=False):
        assert domain.contains(domain.from_unit(place)), name
        at = domain.to_unit(domain.from_unit(place))
        assert -1e-9 <= at <= 1 + 1e-9


@pytest.mark.parametrize("options", [["--json"], ["--predict", "16,4096", "--predict-workers", "16"]])
def test_csvs(options: list[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"

    @cases(20)
    @given(mangled_lines(CSV, CELLS))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        result = answered("fit", path, *options)
        if result.code == 0 and "--json" in options:
            json.loads(result.output, parse_constant=_refused)

    check()


def _refused(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


@cases(20)
@given(JUNK, st.sampled_from(["--predict", "--predict-workers", "--predict-batch", "--gradient-bytes"]))
def test_options_of_fit(tmp_path_factory: pytest.TempPathFactory, value: object, option: str) -> None:
    path = tmp_path_factory.getbasetemp() / "mine.csv"
    path.write_text(CSV)
    words = "1e400" if isinstance(value, float) and math.isinf(value) else str(value).replace("\0", "")
    answered("fit", path, f"{option}={words}")
