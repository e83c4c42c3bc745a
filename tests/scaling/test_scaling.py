"""What `benchmark` says of measured and predicted workers, and its page."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from largebatch.search.laws.step_time.interconnects import Network
from largebatch.spaces.errors import UserError
from largebatch.spaces.execution import Execution
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.step_times import AllReduceTime, ComputeTime, StepTime, StepTimeProfile
from largebatch.studies.answer.scaling.published import GW_BRIDGES, GW_HAL, GW_SUMMIT, INDEPENDENT_RESNET, paper_curves
from largebatch.studies.answer.scaling.scaling import Scaling
from largebatch.studies.answer.scaling.words import scaling_notes, scaling_sentence
from largebatch.studies.training.measure_scaling import ScalingQuestion, ask_scaling, scaling_of_profiles
from largebatch.studies.views.report.scaling_page import write_scaling_page

LOCAL, BYTES = 2, 41_000_000
LATENCY, BANDWIDTH = 2e-5, 1e10


def true_seconds(count: int) -> float:
    """A step of compute and then a sum."""
    hops = 2 * np.log2(count) * LATENCY
    return float(0.05 + hops + 2 * (count - 1) / count * BYTES / BANDWIDTH)


def profile(count: int, rng: np.random.Generator) -> StepTimeProfile:
    def repeats(seconds: float) -> tuple[float, ...]:
        return tuple((seconds * np.exp(0.005 * rng.standard_normal(7))).tolist())

    several = count > 1
    step = StepTime(num_workers=count, local_batch_size=LOCAL, seconds=repeats(true_seconds(count)))
    sums = [
        AllReduceTime(num_workers=count, num_bytes=size, seconds=repeats(2 * np.log2(count) * LATENCY + size / 1e10))
        for size in (4, 65_536, 8_388_608)
        if several
    ]
    return StepTimeProfile(
        device="a made-up GPU",
        num_bytes=BYTES,
        compute=(ComputeTime(local_batch_size=LOCAL, seconds=repeats(true_seconds(1))),),
        steps=(step,) if several else (),
        all_reduce=tuple(sums),
    )


def made_up(
    task: str, timed: Sequence[int] = (1, 2, 4, 8), workers: tuple[int, ...] = (1, 2, 4, 8, 16, 64, 1000)
) -> Scaling:
    rng = np.random.default_rng(0)
    question = ScalingQuestion(
        task=task,
        workers=workers,
        local_batch_size=LOCAL,
        num_examples=1_000,
        recipe=Recipe(global_batch_size=1, learning_rate=1e-3),
        execution=Execution(),
        network=Network(),
        plan=None,
    )
    return scaling_of_profiles(question, {count: profile(count, rng) for count in timed})


def words(path: Path) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def figures(path: Path) -> dict[str, dict]:
    pattern = r'<script type="application/json" id="([\w-]+)-data">(.*?)</script>'
    return {name: json.loads(data) for name, data in re.findall(pattern, path.read_text(), re.DOTALL)}


def test_rows_are_consistent_and_speed_up_is_against_one_worker() -> None:
    rows = made_up("digits").rows
    assert [row.measured for row in rows] == [True, True, True, True, False, False, False]
    assert (rows[0].speedup, rows[0].efficiency) == (1.0, 1.0)
    for row in rows:
        assert row.global_batch_size == row.num_workers * LOCAL
        assert row.examples_per_second == pytest.approx(row.global_batch_size / row.step_seconds)
        assert row.epoch_seconds == pytest.approx(1_000 / row.examples_per_second)
        assert row.speedup == pytest.approx(row.examples_per_second / rows[0].examples_per_second)
        assert row.efficiency == pytest.approx(row.speedup / row.num_workers)
        assert row.step_seconds_low <= row.step_seconds <= row.step_seconds_high
        assert row.speedup_low <= row.speedup <= row.speedup_high
        assert row.seconds_to_target is None
        if not row.measured:
            assert row.speedup_high <= row.num_workers * 1.000001, "no more workers make a step faster"


def test_predictions_hold_the_truth_and_the_largest_measured_is_foretold() -> None:
    scaling = made_up("digits")
    for row in scaling.rows:
        if not row.measured:
            assert row.step_seconds_low <= true_seconds(row.num_workers) <= row.step_seconds_high
    held = scaling.withheld
    assert held is not None
    assert held.at == 8
    assert held.measured == pytest.approx(true_seconds(8), rel=0.02)
    assert abs(held.error) < 0.1
    assert any("withholding 8 workers" in note for note in scaling_notes(scaling))


def test_one_timed_worker_predicts_little_and_says_so() -> None:
    alone, several = made_up("digits", timed=(1,)), made_up("digits")
    assert alone.withheld is None
    assert [row.measured for row in alone.rows] == [True] + 6 * [False]
    for few, more in zip(alone.rows[4:], several.rows[4:], strict=True):
        assert few.speedup_high / few.speedup_low > 1.5 * more.speedup_high / more.speedup_low
    assert "Predicted from machines in general" in scaling_sentence(alone)
    assert any("four measured numbers of workers" in note for note in scaling_notes(alone))
    assert any(
        "from 1,000 workers on a step takes more than the 1,000 examples" in note for note in scaling_notes(alone)
    )


def test_the_paper_s_numbers_agree_with_each_other() -> None:
    assert [round(curve.speedup, 1) for curve in (GW_HAL, GW_BRIDGES, GW_SUMMIT)] == [60.8, 19.8, 628.3]
    assert [round(100 * curve.efficiency) for curve in (GW_HAL, GW_BRIDGES, GW_SUMMIT)] == [95, 28, 41]
    (galaxies,), (images,) = paper_curves("galaxies-small"), paper_curves("images-small")
    assert (round(galaxies.speedup, 1), round(100 * galaxies.efficiency)) == (46.7, 73)
    assert (images.speedup, round(100 * images.efficiency), images.at_most) == (41, 64, True)
    assert paper_curves("imagenet") == (images,)
    assert paper_curves("digits") == paper_curves("gwen") == paper_curves("mine:gw") == ()


def test_the_page_of_a_paper_s_model_shows_both_and_needs_no_network(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_scaling_page(path, made_up("gw-small"))
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r'<(?:img|iframe|object|embed|base)\b|<script[^>]* src=|<link[^>]* href="(?!data:)', text)
    shown = words(path)
    for number in ("60.8", "95 %", "19.8", "28 %", "628", "41 %", "12.4 h", "1,536", "754 h (HAL)", "HAL", "Summit"):
        assert number in shown
    assert "a made-up GPU" in shown
    assert "different machines" in shown
    found = figures(path)
    assert list(found) == ["gw-hal", "gw-bridges", "gw-summit"]
    for name, count, speedup in (("gw-hal", 64, 60.8), ("gw-bridges", 72, 19.8), ("gw-summit", 1536, 628.3)):
        traces = {trace["name"]: trace for trace in found[name]["data"] if trace.get("yaxis", "y") == "y"}
        (paper,) = (trace for told, trace in traces.items() if told.startswith("the paper"))
        assert (paper["x"], paper["y"]) == ([1, count], [1, pytest.approx(speedup, abs=0.05)])
        assert traces["ours, measured"]["x"] == [1, 2, 4, 8]
        assert traces["ours, predicted"]["x"] == [16, 64, 1000]
        assert max(traces["our prediction"]["x"]) >= count
        assert {"ideal", "90 % interval of our prediction"} <= set(traces)


def test_resnet_s_page_has_the_independent_curve_and_another_task_s_page_has_no_paper(tmp_path: Path) -> None:
    write_scaling_page(tmp_path / "images.html", made_up("imagenet"))
    data = figures(tmp_path / "images.html")["resnet-hal"]["data"]
    independent = next(trace for trace in data if trace["name"].startswith("independent"))
    assert independent["x"] == list(INDEPENDENT_RESNET)
    assert independent["y"][-1] == pytest.approx(50.0)
    assert "≤ 41" in words(tmp_path / "images.html").replace("&le;", "≤")
    write_scaling_page(tmp_path / "own.html", made_up("<b>:own", timed=(1, 2)))
    assert list(figures(tmp_path / "own.html")) == ["scaling"]
    assert "Huerta" not in words(tmp_path / "own.html")
    assert "<b>:own" not in (tmp_path / "own.html").read_text()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"task": "digit"}, "unknown task 'digit'"),
        ({"local_batch_size": 48}, "--local-batch-size: a local batch above norm_batch_size (32)"),
        ({"network": Network(interconnect="string")}, "no interconnect is called 'string'"),
        ({"execution": {"precision": "float8"}}, "--precision: Input should be"),
        ({"study": Path("nowhere")}, "nowhere holds no study"),
    ],
)
def test_mistakes_are_told_before_anything_is_timed(changes: dict, expected: str) -> None:
    task, local = changes.pop("task", "digits"), changes.pop("local_batch_size", None)
    options = {"study": None, "network": Network(), "execution": {}} | changes
    with pytest.raises(UserError, match=re.escape(expected)):
        ask_scaling(task, [1, 2], local, **options)


def test_the_question_has_one_worker_in_it_and_a_usual_local_batch() -> None:
    question = ask_scaling("digits", [8, 2], None, study=None, network=Network(), execution={"precision": "bfloat16"})
    assert question.workers == (1, 2, 8)
    assert question.local_batch_size == 32
    assert question.num_examples == 1_438
    assert question.execution.precision == "bfloat16"
