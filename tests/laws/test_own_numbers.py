"""`fit`: the contract, the laws of published measurements, and a sentence for each kind of bad input."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.own_fit import Asked, fit_table
from largebatch.studies.own_numbers import read_table

DATA = Path(__file__).parents[1] / "data"
SIZES = (16, 32, 64, 128, 256, 512)


def answer(path: Path, text: str, **asked: Any) -> dict[str, Any]:
    path.write_text(text)
    return fit_table(read_table(path), Asked(**asked))


def group(path: Path, text: str, **asked: Any) -> dict[str, Any]:
    return dict(answer(path, text, **asked)["groups"][0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.csv"


def hyperbola(repeats: int = 3, noise: float = 0.03, unit: str = "steps") -> str:
    rng = np.random.default_rng(0)
    lines = [f"global_batch_size,{unit}"]
    for size in SIZES:
        for _ in range(repeats):
            steps = 100 * (1 + 200 / size) * math.exp(noise * rng.standard_normal())
            lines.append(f"{size},{steps * (size / 5000 if unit == 'epochs' else 1)}")
    return "\n".join(lines) + "\n"


def test_a_hyperbola_is_found(path: Path) -> None:
    found = group(path, hyperbola(), batch_sizes=[1024, 4096])
    assert (found["law"], found["verdict"]) == ("hyperbola", "ok")
    assert found["parameters"]["S_min"] == pytest.approx(100, rel=0.1)
    assert found["parameters"]["B_crit"] == pytest.approx(200, rel=0.15)
    assert [one["global_batch_size"] for one in found["predictions"]] == [1024, 4096]
    for one in found["predictions"]:
        truth = 100 * (1 + 200 / one["global_batch_size"])
        assert one["low"] < truth < one["high"]
        assert one["value"] == pytest.approx(truth, rel=0.1)
    near, far = (math.log(one["high"] / one["low"]) for one in found["predictions"])
    assert far > 1.5 * near, "intervals widen with the distance to the data"
    assert found["withheld"]["steps"]["at"] == 512


def test_epochs_and_steps_tell_the_same(path: Path) -> None:
    epochs = group(path, hyperbola(unit="epochs"), batch_sizes=[1024])
    steps = group(path, hyperbola(), batch_sizes=[1024])
    assert epochs["parameters"]["B_crit"] == pytest.approx(steps["parameters"]["B_crit"], rel=0.05)
    assert epochs["parameters"]["E_min"] == pytest.approx(100 * 200 / 5000, rel=0.1)
    assert epochs["predictions"][0]["value"] == pytest.approx(steps["predictions"][0]["value"] * 1024 / 5000, rel=0.05)


def test_the_order_of_rows_and_the_scale_of_the_unit_do_not_matter(path: Path) -> None:
    heading, *rows = hyperbola().splitlines()
    told = group(path, hyperbola(), batch_sizes=[1024])["predictions"][0]["value"]
    turned = group(path, "\n".join([heading, *rows[::-1]]), batch_sizes=[1024])["predictions"][0]["value"]
    scaled_rows = [f"{size},{float(steps) * 1000}" for size, steps in (row.split(",") for row in rows)]
    scaled = group(path, "\n".join([heading, *scaled_rows]), batch_sizes=[1024])["predictions"][0]["value"]
    assert turned == pytest.approx(told)
    assert scaled == pytest.approx(1000 * told, rel=1e-6)


def test_mlperf_s_largest_batch_sizes_are_foretold(path: Path) -> None:
    """Reference convergence points of MLCommons, the largest batch size of each benchmark held out."""
    rows: dict[str, list[tuple[float, float]]] = {}
    with (DATA / "mlperf" / "convergence.csv").open() as file:
        for row in csv.DictReader(file):
            pair = (float(row["global_batch_size"]), float(row["to_target"]))
            rows.setdefault(row["benchmark"], []).append(pair)
    errors, verdicts = [], {}
    for name, pairs in rows.items():
        largest = max(size for size, _ in pairs)
        lines = [f"{size},{amount}" for size, amount in pairs if size < largest]
        text = "global_batch_size,epochs\n" + "\n".join(lines)
        found = group(path, text, batch_sizes=[int(largest)])
        told = found["predictions"][0]
        truth = math.exp(np.mean([math.log(amount) for size, amount in pairs if size == largest]))
        assert told["low"] <= truth <= told["high"], name
        errors.append(abs(told["value"] / truth - 1))
        verdicts[name] = found["verdict"]
    assert len(errors) == 5
    assert np.median(errors) <= 0.07
    assert verdicts["unet3d"] == "flat"
    assert verdicts["resnet"] == "ok"


def test_step_times_are_predicted(path: Path) -> None:
    """t = 0.01 + 0.001 b + 2 ms log2 N at a constant global batch of 1,024."""
    seconds = {n: 0.01 + 1.024 / n + 0.002 * math.log2(n) for n in (1, 2, 4, 8, 16, 32, 64)}
    rows = [f"{n},1024,{t}" for n, t in seconds.items() if n <= 16]
    text = "num_workers,global_batch_size,step_seconds\n" + "\n".join(rows)
    found = group(path, text, workers=[32, 64])
    for one in found["predictions"]:
        assert one["low"] < seconds[one["num_workers"]] < one["high"]
        assert one["value"] == pytest.approx(seconds[one["num_workers"]], rel=0.25)
    assert found["withheld"]["step_seconds"]["at"] == 16


def test_two_points_give_a_wide_interval(path: Path) -> None:
    text = "num_workers,global_batch_size,epochs,seconds\n8,512,50,600\n64,1024,55,120\n"
    found = group(path, text, workers=[64, 1024], batches=[1024, 4096])
    near, far = found["predictions"]
    assert near["low"] < 120 < near["high"]
    assert far["high"] / far["low"] > 3 * near["high"] / near["low"]
    assert found["verdict"] == "no-law"
    assert "2 batch sizes" in found["reason"]


def test_several_learning_rates_give_the_law_of_the_best(path: Path) -> None:
    rng = np.random.default_rng(0)
    lines = ["global_batch_size,learning_rate,steps,censored"]
    for size in SIZES:
        best = 1 / (1 + 80 / size)
        for place in rng.uniform(-1.5, 1.2, 10):
            steps = 40 * (1 + 100 / size) * math.exp(0.4 * place**2 + 0.05 * rng.standard_normal())
            cut = 70 * (1 + 100 / size)
            lines.append(f"{size},{best * math.exp(place)},{min(steps, cut)},{int(steps > cut)}")
    found = group(path, "\n".join(lines), batch_sizes=[256])
    assert found["predictions"][0]["value"] == pytest.approx(40 * (1 + 100 / 256), rel=0.15)
    assert found["learning_rate"]["predictions"][0]["value"] == pytest.approx(1 / (1 + 80 / 256), rel=0.35)


def test_censored_rows_are_bounds(path: Path) -> None:
    """At 512 no training reached the target in 300 steps: the law may not say less, and uses it."""
    rows = [row for row in hyperbola().splitlines() if not row.startswith("512")]
    text = "\n".join([rows[0] + ",censored", *(f"{row},0" for row in rows[1:]), "512,300,1"])
    found = group(path, text, batch_sizes=[512])
    assert found["fitted_on"]["lower_bounds"] == [512]
    without = group(path, "\n".join(rows), batch_sizes=[512])
    assert found["predictions"][0]["value"] > without["predictions"][0]["value"]


FLAT = "global_batch_size,steps\n" + "".join(f"{size},{1000 + 7 * (size % 5)}\n" for size in SIZES)


def test_no_dependence_is_flat(path: Path) -> None:
    found = group(path, FLAT, batch_sizes=[1024])
    assert (found["verdict"], found["law"]) == ("flat", "flat")
    assert found["predictions"][0]["value"] == pytest.approx(1010, rel=0.03)


BAD = {
    "global_batch_size,steps\n": "has no rows",
    "": "a heading is expected",
    "batch_size,steps\n16,100\n": "needs a column global_batch_size",
    "global_batch_size,stps\n16,100\n": "did you mean 'steps'",
    "global_batch_size,steps,epochs\n16,100,2\n": "steps and epochs; give one of",
    "global_batch_size,steps,steps\n16,100,2\n": "'steps' is there twice",
    "global_batch_size,steps\n16,NaN\n": "line 2: steps must be a finite number above 0; got NaN",
    "global_batch_size,steps\n16,-3\n": "line 2: steps must be a finite number above 0; got -3",
    "global_batch_size,steps\n16,many\n": "line 2: steps must be a number; got 'many'",
    "global_batch_size,steps\n16,1,2\n": "line 2: 3 cells, but the heading has 2",
    "global_batch_size,steps\n16,\n": "line 2 has no steps",
    "global_batch_size,steps,censored\n16,100,maybe\n": "line 2: censored must be 0 or 1; got 'maybe'",
    "global_batch_size,steps,censored\n16,100,1\n32,100,1\n": "all are censored",
    "global_batch_size,steps\n16,100\n16,90000\n": "are units or targets mixed",
    "num_workers,step_seconds\n1,0\n": "line 2: step_seconds must be a finite number above 0; got 0",
    "step_seconds\n1\n": "needs a column num_workers",
    "num_workers,global_batch_size,seconds\n1,16,5\n2,32,4\n": "need a column steps, epochs or examples",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_told_in_a_sentence(path: Path, text: str) -> None:
    with pytest.raises(UserMistake, match=str(path)) as told:
        answer(path, text)
    assert BAD[text] in str(told.value)


def test_questions_that_cannot_be_answered(path: Path) -> None:
    with pytest.raises(UserMistake, match="--predict-workers needs columns num_workers and seconds"):
        answer(path, hyperbola(), workers=[4])
    with pytest.raises(UserMistake, match="needs a column steps, epochs or examples; this file has times alone"):
        answer(path, "num_workers,step_seconds\n1,1\n", batch_sizes=[4])
    with pytest.raises(UserMistake, match="one for each of the 3 worker counts"):
        answer(path, "num_workers,step_seconds\n1,1\n", workers=[1, 2, 3], batches=[4, 5])
    two = "num_workers,global_batch_size,step_seconds\n1,16,5\n2,32,4\n"
    with pytest.raises(UserMistake, match="with --predict-batch"):
        answer(path, two, workers=[4])


def test_few_batch_sizes_still_answer_for_themselves(path: Path) -> None:
    found = group(path, "global_batch_size,steps\n16,100\n32,60\n", batch_sizes=[16, 64])
    assert found["verdict"] == "no-law"
    assert "known at 2 batch sizes; a law needs 3" in found["reason"]
    measured, unknown = found["predictions"]
    assert measured["low"] < measured["value"] < measured["high"]
    assert measured["value"] == pytest.approx(100)
    assert unknown["value"] is None


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(1e-3, 1e9), st.booleans()), min_size=1, max_size=12
    )
)  # fmt: skip
def test_any_numbers_give_an_answer_or_a_sentence(tmp_path_factory: Any, rows: list[tuple[int, float, bool]]) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    lines = [f"{size},{steps!r},{int(censored)}" for size, steps, censored in rows]
    try:
        found = group(path, "global_batch_size,steps,censored\n" + "\n".join(lines), batch_sizes=[64])
    except UserMistake:
        return
    json.dumps(found, allow_nan=False)
    told = found["predictions"][0]
    assert told["value"] is None or told["low"] <= told["value"] <= told["high"]


def test_neither_torch_nor_ray_is_imported(path: Path) -> None:
    path.write_text(hyperbola())
    code = (
        "import sys; from largebatch.studies.cli import app\n"
        f"try: app(['fit', {str(path)!r}, '--predict', '1024', '--json'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'ray', 'optuna', 'pyarrow'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["groups"][0]["verdict"] == "ok"


def test_a_misfit_does_not_take_a_trend(path: Path) -> None:
    """Weak scaling on a slow network, two examples a worker: at 32 workers 0.80 s a step were measured."""
    text = "num_workers,global_batch_size,step_seconds\n1,2,0.40\n8,16,0.64\n16,32,0.7805\n"
    found = group(path, text, workers=[1, 8, 16, 32], batches=[2, 16, 32, 64])
    for one, measured in zip(found["predictions"], (0.40, 0.64, 0.7805, 0.80), strict=True):
        assert one["low"] < measured < one["high"]
        assert one["value"] == pytest.approx(measured, rel=0.12)
    assert found["verdict"] == "ok"


def test_step_times_that_the_formula_misses_have_no_law(path: Path) -> None:
    times = {1: 0.4, 2: 1.6, 4: 0.3, 8: 1.5, 16: 0.35}
    rows = "".join(f"{n},{2 * n},{seconds}\n" for n, seconds in times.items())
    found = group(path, f"num_workers,global_batch_size,step_seconds\n{rows}", workers=[16], batches=[32])
    assert found["verdict"] == "no-law"
    assert "the formula misses the measured times by 7" in found["reason"]
    one = found["predictions"][0]
    assert one["low"] < times[16] < one["high"], "what it misses widens the interval"
