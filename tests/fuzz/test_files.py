"""Every other file of a study directory, damaged: an answer, or a sentence."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from largebatch.spaces.trial import Measurement
from largebatch.studies.record.curves import read_curve, write_curve
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.ledger import Ledger
from largebatch.studies.record.requests import Enqueue, Narrow, Stop
from largebatch.studies.running.steering import Steering

from .mangled import mangled_bytes, mangled_json, mangled_lines
from .studies import write_small_study
from .typed import answered, cases

WORDS = [
    "name:", "task:", "space:", "low:", "high:", "choices:", "scale:", "log", "log2", "log1m", "when:", "sgd", "[", "]",
    "{", "}", ",", "0", "1", "-1", "1.0e-3", "1e400", ".nan", ".inf", "null", "true", "''", '"', "&a", "*a", "!!python/"
    "object/apply:os.system", "|", ">", "- ", ": ", "#", "\t", "32", "64", "9", "1e30", "target", "budget:", "trials:",
]  # fmt: skip


@pytest.fixture
def study(tmp_path: Path) -> StudyDirectory:
    return write_small_study(tmp_path / "small")


@pytest.mark.parametrize("name", ["show", "plan"])
def test_profiles(name: str, study: StudyDirectory) -> None:
    text = study.profile_file.read_text()

    @cases(15)
    @given(mangled_json(text))
    def check(content: bytes) -> None:
        study.profile_file.write_bytes(content)
        answered(name, study.path, "--json")

    check()


def test_frozen_studies(study: StudyDirectory) -> None:
    text = study.study_file.read_text()

    @cases(25)
    @given(mangled_lines(text, WORDS))
    def check(content: bytes) -> None:
        study.study_file.write_bytes(content)
        answered("show", study.path, "--json")

    check()


def test_curves(study: StudyDirectory) -> None:
    path = study.curves / "trial-000001.parquet"
    whole = path.read_bytes()

    @cases(25)
    @given(mangled_bytes(whole))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        answered("show", study.path, "--json")

    check()
    pq.write_table(pa.table({"trial": [1], "step": [2]}), path)
    refused = answered("report", study.path)
    assert refused.code == 2
    assert f"{path} is damaged" in refused.errors
    path.unlink()  # as it says
    assert answered("report", study.path).code == 0


VALUES = st.dictionaries(st.text(max_size=5), st.floats(), min_size=1, max_size=3)


@cases(20)
@given(st.lists(VALUES, max_size=5))
def test_curves_come_back(tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, float]]) -> None:
    folder = tmp_path_factory.getbasetemp() / "curves"
    curve = [
        Measurement(step=step, examples=7 * step, seconds=0.5 * step, values=one) for step, one in enumerate(values)
    ]
    write_curve(folder, 1, curve)
    assert repr(read_curve(folder, 1)) == repr(curve)  # NaN is not itself


def requests_of(study: StudyDirectory) -> list[str]:
    who = {"by": "me@here", "at": "today"}
    recipe = Ledger(study.ledger, "small", create=False).trials()[0].recipe
    domain = study.study().space.root["learning_rate"]
    return [
        Enqueue(recipe=recipe, **who).model_dump_json(),
        Stop(trial=5, **who).model_dump_json(),
        Narrow(name="learning_rate", domain=domain, **who).model_dump_json(),
        '{"kind": "narrow", "by": "", "at": "", "name": "global_batch_size", "domain": {"low": 1, "high": 2}}',
    ]


def test_requests_are_obeyed_or_left_and_never_end_a_study(study: StudyDirectory) -> None:
    texts = requests_of(study)
    space, before = study.study().space, study.ledger.read_bytes()

    @cases(30)
    @given(st.sampled_from(texts).flatmap(mangled_json))
    def check(content: bytes) -> None:
        study.requests.mkdir(exist_ok=True)
        (study.requests / "0-b.json").write_bytes(content)
        study.ledger.write_bytes(before)
        steering = Steering(ledger=Ledger(study.ledger, "small", create=True), folder=study.requests)
        steering.poll()
        steering.next_recipe()
        assert steering.space(space).root.keys() == space.root.keys()

    check()


def test_a_hand_written_request_that_leaves_no_space_is_passed_over(study: StudyDirectory) -> None:
    study.requests.mkdir()
    (study.requests / "0-b.json").write_text(requests_of(study)[3])
    steering = Steering(ledger=Ledger(study.ledger, "small", create=True), folder=study.requests)
    steering.poll()
    assert steering.space(study.study().space) == study.study().space


def test_recipes_of_trainings(study: StudyDirectory) -> None:
    out = study.path / "train" / "workers-2"
    assert answered("train", study.path, "--workers", "2", "--in-process", "--examples", "200").code == 0
    text = (out / "recipe.json").read_text()

    @cases(2)
    @given(mangled_json(text))
    def check(content: bytes) -> None:
        (out / "recipe.json").write_bytes(content)
        answered("train", study.path, "--workers", "2", "--in-process", "--examples", "200", "--json")

    check()
    (out / "recipe.json").write_text("damaged")
    again = ("train", study.path, "--workers", "2", "--in-process", "--examples", "200", "--json")
    assert "use --fresh" in answered(*again).errors
    assert answered(*again, "--fresh").code == 0
