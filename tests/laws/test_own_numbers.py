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

from largebatch.spaces.errors import UserError
from largebatch.studies.answer.fit_table import Asked, fit_table
from largebatch.studies.answer.measurement_table import read_table
from largebatch.studies.views.terminal.show_fit import print_fit

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
    "global_batch_size,steps\n16.5,100\n": "line 2: global_batch_size must be a whole number; got 16.5",
    "num_workers,images_per_second\n1,90\n": "`images_per_second` needs a column global_batch_size beside it",
    "num_workers,global_batch_size,step_seconds,images_per_second\n1,8,1,8\n": "all say how long a step",
    "num_workers,step_seconds\n,1\n": "no row has both num_workers and a time",
    "num_workers,global_batch_size,seconds\n1,16,5\n2,32,4\n": "need a column steps, epochs or examples",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_told_in_a_sentence(path: Path, text: str) -> None:
    with pytest.raises(UserError, match=str(path)) as told:
        answer(path, text)
    assert BAD[text] in str(told.value)


def test_questions_that_cannot_be_answered(path: Path) -> None:
    with pytest.raises(UserError, match="--predict-workers needs columns num_workers and seconds"):
        answer(path, hyperbola(), workers=[4])
    with pytest.raises(UserError, match="needs a column steps, epochs or examples; this file has times alone"):
        answer(path, "num_workers,step_seconds\n1,1\n", batch_sizes=[4])
    with pytest.raises(UserError, match="one for each of the 3 worker counts"):
        answer(path, "num_workers,step_seconds\n1,1\n", workers=[1, 2, 3], batches=[4, 5])
    two = "num_workers,global_batch_size,step_seconds\n1,16,5\n2,32,4\n"
    with pytest.raises(UserError, match="with --predict-batch"):
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
    except UserError:
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


RATES_CSV = "global_batch_size,learning_rate,steps"


def rates_of_valleys() -> list[str]:
    """Five batch sizes with five learning rates each; least steps 100 (1 + 200 / B) at 1 / (1 + 80 / B)."""
    rng = np.random.default_rng(1)
    return [
        f"{size},{math.exp(place) / (1 + 80 / size):.6g},"
        f"{100 * (1 + 200 / size) * math.exp(0.4 * place**2 + 0.02 * rng.standard_normal()):.6g}"
        for size in SIZES[:5]
        for place in (-1.4, -0.7, 0.0, 0.7, 1.4)
    ]


def test_one_empty_cell_does_not_decide_for_its_column(path: Path) -> None:
    rows = rates_of_valleys()
    size, _, steps = rows[5].split(",")
    rows[5] = f"{size},,{steps}"
    found = group(path, "\n".join([RATES_CSV, *rows]), batch_sizes=[512])
    one, truth = found["predictions"][0], 100 * (1 + 200 / 512)
    assert "learning_rate" in found
    assert one["value"] == pytest.approx(truth, rel=0.1)
    assert one["low"] < truth < one["high"]
    assert "line 7: no learning_rate, which the other rows have" in found["notes"][0]


def test_a_column_given_in_few_rows_is_refused(path: Path) -> None:
    rows = [row.replace(row.split(",")[1], "") if number > 2 else row for number, row in enumerate(rates_of_valleys())]
    with pytest.raises(UserError, match="learning_rate is given in 3 of 25 rows; fill in the others"):
        answer(path, "\n".join([RATES_CSV, *rows]))


def test_a_step_s_batch_size_is_not_assumed_beside_known_ones(path: Path) -> None:
    rows = [f"{n},{64 * n},{0.5 + 0.01 * n}" for n in (1, 2, 4, 8, 16)]
    found = group(path, "\n".join(["num_workers,global_batch_size,step_seconds", *rows, "32,,0.9"]))
    assert found["fitted_on"]["num_workers"] == [1, 2, 4, 8, 16]
    assert "line 7: no global_batch_size" in found["notes"][0]


def test_a_time_that_no_law_uses_is_named(path: Path) -> None:
    rows = [f"{size},{100 * (1 + 200 / size):.0f},{n},0.5" for n, size in zip((1, 2, 4), SIZES, strict=False)]
    found = group(path, "\n".join(["global_batch_size,steps,num_workers,step_seconds", *rows, "128,260,,0.7"]))
    assert found["step_seconds"]["fitted_on"]["num_workers"] == [1, 2, 4]
    assert "line 5: a time without num_workers, which no law uses" in found["notes"]


TIMES = {1: (512, 10000, 0.300), 2: (1024, 5500, 0.302), 4: (2048, 3200, 0.305), 8: (4096, 2000, 0.310)}


@pytest.mark.parametrize("turned", [False, True])
def test_each_time_is_used_as_what_it_is(path: Path, turned: bool) -> None:
    """Two rows with a step's seconds, two with those to the target, in either order."""
    rows = [
        f"{batch},{steps},{n},{seconds if n < 4 else ''},{'' if n < 4 else steps * seconds}"
        for n, (batch, steps, seconds) in TIMES.items()
    ]
    heading = "global_batch_size,steps,num_workers,step_seconds,seconds"
    text = "\n".join([heading, *(rows[::-1] if turned else rows)])
    found = group(path, text, batch_sizes=[4096], workers=[8], batches=[4096])
    told = {one["unit"]: one["value"] for one in found["predictions"]}
    assert told == {
        "steps": pytest.approx(2000, rel=0.1),
        "step_seconds": pytest.approx(0.310, rel=0.05),
        "seconds": pytest.approx(620, rel=0.1),
    }
    print_fit({"groups": [{"group": "", **found}], "notes": []})


def test_the_table_has_a_column_for_each_unit(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test_each_time_is_used_as_what_it_is(path, turned=False)
    heading, *rows = capsys.readouterr().out.splitlines()[-4:]
    assert heading.split() == ["workers", "batch", "steps", "step_seconds", "seconds", "90", "%", "interval"]
    ends = [heading.index(f" {name} ") + len(name) for name in ("steps", "step_seconds", "seconds")]
    assert [row[: end + 1].split()[-1][-1].isdigit() for row, end in zip(rows, ends, strict=True)] == [True] * 3


def test_seconds_of_epochs_do_not_mix_with_those_of_steps(path: Path) -> None:
    text = "global_batch_size,epochs,num_workers,step_seconds,seconds\n64,5,1,0.1,\n128,6,2,0.1,\n256,7,4,,90\n"
    with pytest.raises(UserError, match="`seconds` in 1 rows and `step_seconds` in 2: only a column steps"):
        answer(path, text)


@pytest.mark.parametrize("unit", ["steps", "epochs"])
def test_a_time_of_no_step_is_refused(path: Path, unit: str) -> None:
    text = f"global_batch_size,{unit},num_workers,seconds\n64,50,1,1e-321\n128,60,2,60\n256,70,4,90\n"
    with pytest.raises(UserError, match=r"`seconds`: a step of \S+ beside one of \S+ cannot be; check the units$"):
        answer(path, text)


@pytest.mark.parametrize("column", ["examples_per_second", "images_per_second"])
def test_a_rate_is_a_step_s_time(path: Path, column: str) -> None:
    seconds = {n: 0.2 + 0.01 * n for n in (1, 2, 4, 8)}
    rates = "".join(f"{n},{64 * n},{64 * n / one!r}\n" for n, one in seconds.items())
    steps = "".join(f"{n},{64 * n},{one!r}\n" for n, one in seconds.items())
    asked = {"workers": [16], "batches": [1024]}
    found = group(path, f"num_workers,global_batch_size,{column}\n{rates}", **asked)
    given = group(path, f"num_workers,global_batch_size,step_seconds\n{steps}", **asked)
    assert found["predictions"][0]["value"] == pytest.approx(given["predictions"][0]["value"], rel=1e-6)
    assert found["predictions"][0]["unit"] == "step_seconds"


def test_two_learning_rates_are_no_repeats(path: Path) -> None:
    """At each batch size a good rate, and one that takes twice the steps."""
    rows = [
        f"{size},{rate},{factor * 100 * (1 + 200 / size):.1f}"
        for size in SIZES
        for rate, factor in ((0.1, 1), (0.9, 2))
    ]
    found = group(path, "\n".join([RATES_CSV, *rows]), batch_sizes=[1024])
    assert found["predictions"][0]["value"] == pytest.approx(100 * (1 + 200 / 1024), rel=0.1)
    assert found["notes"][0].startswith("rows of one batch size differ in learning_rate, so they are no repeats")
    assert "6 of 12 are left out" in found["notes"][0]


def test_rows_of_different_optimizers_are_no_repeats(path: Path) -> None:
    rows = [f"{size},{name},{steps}" for size in SIZES for name, steps in (("sgd", 100 + 20000 // size), ("lamb", 900))]
    found = group(path, "\n".join(["global_batch_size,optimizer,steps", *rows]), batch_sizes=[1024])
    assert found["predictions"][0]["value"] == pytest.approx(100 + 20000 / 1024, rel=0.1)
    assert found["notes"][0].startswith("rows of one batch size differ in optimizer")


def test_seeds_are_repeats(path: Path) -> None:
    heading, *rows = hyperbola().splitlines()
    found = group(path, "\n".join([f"{heading},seed", *(f"{row},{at}" for at, row in enumerate(rows))]))
    assert found["notes"] == []
    assert found["parameters"] == group(path, hyperbola())["parameters"]


BUDGETS = {
    "epochs": [90.0] * 6,
    "steps": [math.ceil(90 * 50_000 / size) for size in SIZES],
    "examples": [4.5e6] * 6,
    "steps at all": [1000] * 6,
}


@pytest.mark.parametrize("of", BUDGETS)
def test_a_fixed_budget_is_no_target(path: Path, of: str) -> None:
    unit = of.split()[0]
    rows = [f"{size},{amount}" for size, amount in zip(SIZES, BUDGETS[of], strict=True)]
    found = group(path, "\n".join([f"global_batch_size,{unit}", *rows]), batch_sizes=[16, 1024])
    assert (found["verdict"], found["parameters"], found["withheld"]) == ("no-law", {}, {})
    assert "at 6 batch sizes: that is a fixed budget, not what a target took" in found["reason"]
    measured, unknown = found["predictions"]
    assert measured["value"] == pytest.approx(BUDGETS[of][0])
    assert unknown["value"] is None


def test_semicolons_and_decimal_commas_are_read(path: Path) -> None:
    rows = [row.replace(",", ";").replace(".", ",") for row in hyperbola().splitlines()]
    asked = {"batch_sizes": [1024]}
    plain = group(path, hyperbola(), **asked)["predictions"]
    assert group(path, "\n".join(rows), **asked)["predictions"] == plain
    assert group(path, "sep=;\n" + "\n".join(rows), **asked)["predictions"] == plain
    assert group(path, hyperbola().replace(",", "\t"), **asked)["predictions"] == plain
    with pytest.raises(UserError, match=r"line 3: 1,024 may be 1\.024 or 1024; write which"):
        answer(path, "sep=;\nglobal_batch_size;steps\n1,024;100\n")


def test_line_numbers_count_lines_and_not_rows(path: Path) -> None:
    with pytest.raises(UserError, match="line 5: steps must be a number; got 'many'"):
        answer(path, 'global_batch_size,steps,note\n16,100,"two\nlines\n"\n32,many,\n')


def quantised(interval: int, columns: str) -> str:
    """The hyperbola 100 (1 + 200 / B), first seen met at the next evaluation."""
    lines = [f"global_batch_size,steps,{columns}" if columns else "global_batch_size,steps"]
    for size in SIZES:
        truth = 100 * (1 + 200 / size)
        every = math.ceil(interval / size)
        low = (math.ceil(truth / every) - 1) * every
        cells = {"": "", "evaluation_interval": f",{every * size}", "steps_low,steps_high": f",{low},{low + every}"}
        lines += [f"{size},{low + every if columns != 'steps_low,steps_high' else low + every / 2}{cells[columns]}"]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("columns", ["evaluation_interval", "steps_low,steps_high"])
def test_a_passage_between_evaluations_is_as_uncertain_as_they_lie_apart(path: Path, columns: str) -> None:
    """Evaluated every 12,000 examples: rounded up by as much as 60 %."""
    asked = [16, 32, 128, 512, 2048]
    truths = [100 * (1 + 200 / size) for size in asked]
    found = group(path, quantised(12_000, columns), batch_sizes=asked)
    exact = group(path, quantised(12_000, ""), batch_sizes=asked)
    assert all(one["low"] < truth < one["high"] for one, truth in zip(found["predictions"], truths, strict=True))
    assert not all(one["low"] < truth < one["high"] for one, truth in zip(exact["predictions"], truths, strict=True))
    assert max(found["fitted_on"]["evaluation_shares"]) > 0.3
    assert "evaluate more often" in found["reason"]
    assert "evaluate more often" not in exact["reason"]


def test_a_row_without_its_evaluation_interval_is_noted(path: Path) -> None:
    text = quantised(16, "evaluation_interval")
    lines = text.splitlines()
    lines[2] = lines[2].rpartition(",")[0] + ","
    assert group(path, text)["notes"] == group(path, "\n".join(lines))["notes"][1:]
    noted = group(path, "\n".join(lines))["notes"][0]
    assert noted == "line 3: no evaluation interval, which other rows have; the passage is taken as exact"


def test_close_evaluations_change_nothing(path: Path) -> None:
    found = group(path, quantised(16, "evaluation_interval"), batch_sizes=[2048])["predictions"][0]
    exact = group(path, quantised(16, ""), batch_sizes=[2048])["predictions"][0]
    for name in ("low", "value", "high"):
        assert found[name] == pytest.approx(exact[name], rel=0.02)


def test_a_target_that_was_met_before_the_first_evaluation_is_bounded_alone(path: Path) -> None:
    heading = "global_batch_size,examples,evaluation_interval\n"
    rows = [(16, 4_096), (64, 4_096), (256, 4_096), (1024, 4_096)]
    found = group(path, heading + "".join(f"{size},{examples},4090\n" for size, examples in rows[:2]))
    assert found["verdict"] == "no-law"
    assert found["fitted_on"]["upper_bounds"] == [16, 64], "less than a step is left of what lies before"
    found = group(path, heading + "".join(f"{size},{examples},4096\n" for size, examples in rows), batch_sizes=[16])
    assert found["verdict"] == "no-law"
    assert found["fitted_on"]["upper_bounds"] == [16, 64, 256, 1024]
    assert "known at 0 batch sizes" in found["reason"]
    assert "evaluate more often" in found["reason"]
    assert found["predictions"][0]["value"] is None


def test_rates_of_which_all_but_slow_ones_met_it_at_once(path: Path) -> None:
    heading = "global_batch_size,learning_rate,steps,evaluation_interval\n"
    rows = [f"{size},{0.1 * k},{4 if k < 3 else 12},{4 * size}\n" for size in (64, 128) for k in (1, 2, 3)]
    found = group(path, heading + "".join(rows))
    assert found["verdict"] == "no-law"
    assert found["fitted_on"]["upper_bounds"] == [64, 128]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("global_batch_size,epochs,evaluation_interval\n16,3,500\n", "line 2: evaluation_interval cannot be compared"),
        ("global_batch_size,steps,steps_low\n16,300,200\n", "line 2: give both steps_low and steps_high"),
        ("global_batch_size,steps,steps_low,steps_high\n16,300,310,400\n", "line 2: the steps to target must lie"),
        ("global_batch_size,steps,evaluation_interval\n16,300,0\n", "line 2: evaluation_interval must be a finite"),
    ],
)
def test_passages_that_cannot_be(path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        group(path, text)
