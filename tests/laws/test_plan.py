"""Step times and the plan: the closed form, honest intervals, the knee and its reason, what is measured."""

import dataclasses
import itertools
import math

import numpy as np
import pytest

from largebatch.search.laws.fit_laws import FittedLaws, fit_laws
from largebatch.search.laws.step_time.step_time_law import StepTimeLaw, fit_step_time_law
from largebatch.search.laws.step_time.step_time_model import StepTimeParameters
from largebatch.search.laws.step_time.timings import timings_of_profile
from largebatch.search.plan.make_plan import make_plan
from largebatch.search.plan.plan import Plan
from largebatch.spaces.errors import UserError
from largebatch.spaces.step_times import AllReduceTime, ComputeTime, StepTime, StepTimeProfile
from largebatch.studies.answer.best_trials import answer_sentence, plan_notes
from largebatch.testing import make_trial

LOCAL = (16, 32, 64, 128, 256, 512, 1024)


def profile(
    *, fixed: float = 1e-3, slope: float = 1e-4, latency: float = 0.0, byte: float = 0.0, jitter: float = 0.0
) -> StepTimeProfile:
    """Step times of known laws; ``num_bytes`` is a megabyte."""
    rng = np.random.default_rng(0)

    def repeats(seconds: float) -> tuple[float, ...]:
        return tuple(float(seconds * math.exp(jitter * z)) for z in rng.standard_normal(7))

    def sync(num_bytes: float) -> float:
        return 2 * latency + num_bytes * byte

    return StepTimeProfile(
        device="test",
        num_bytes=1_000_000,
        compute=tuple(ComputeTime(local_batch_size=b, seconds=repeats(fixed + slope * b)) for b in LOCAL),
        steps=tuple(
            StepTime(num_workers=2, local_batch_size=b, seconds=repeats(fixed + slope * b + sync(1e6))) for b in LOCAL
        ),
        all_reduce=tuple(
            AllReduceTime(num_workers=2, num_bytes=n, seconds=repeats(max(sync(n), 1e-9))) for n in (4, 10**5, 10**7)
        ),
    )


def fit(some: StepTimeProfile):  # type: ignore[no-untyped-def]
    return fit_step_time_law(timings_of_profile(some), rng=np.random.default_rng(0))


def plan(trials, some: StepTimeProfile | None, workers=(1, 2, 4, 8, 16, 32, 64)) -> Plan:  # type: ignore[no-untyped-def]
    laws = fit_laws(trials, some)
    return make_plan(study="s", target="t", trials=trials, laws=laws, workers=workers, profile=some)


def test_step_time_is_recovered() -> None:
    law = fit(profile(latency=1e-4, byte=1e-9, jitter=0.02))
    expected = {"fixed_seconds": 1e-3, "seconds_an_example": 1e-4, "latency_seconds": 1e-4, "seconds_a_byte": 1e-9}
    for name, value in expected.items():
        assert law.parameters[name] == pytest.approx(value, rel=0.3), name
    measured = law.predict(2, 128)
    assert float(measured.value) == pytest.approx(1e-3 + 128e-4 + 2e-4 + 1e-3, rel=0.1)


def test_step_time_interval_holds_both_all_reduces() -> None:
    """Ring and halving-doubling agree for two workers and differ by far for 64: the interval must hold both."""
    law = fit(profile(latency=1e-4))
    prediction = law.predict(64, 16)
    compute = 1e-3 + 16e-4
    halving, ring = compute + 2 * 6 * 1e-4, compute + 2 * 63 * 1e-4
    assert prediction.low < 1.2 * halving
    assert prediction.high > 0.7 * ring
    two = law.predict(2, 16)
    assert math.log(prediction.high / prediction.low) > 2 * math.log(two.high / two.low)


def test_one_device_alone_says_what_it_does_not_know() -> None:
    alone = profile().model_copy(update={"steps": (), "all_reduce": ()})
    law = fit(alone)
    assert law.verdict == "no-law"
    assert "no two devices were timed" in law.reason
    alone_seconds, eight = law.predict(1, 16), law.predict(8, 16)
    assert float(alone_seconds.value) == pytest.approx(1e-3 + 16e-4, rel=0.05)
    assert eight.high / eight.low > 1.3 * alone_seconds.high / alone_seconds.low


def exact_laws(trials, *, s_min: float, b_crit: float, fixed: float, slope: float) -> FittedLaws:  # type: ignore[no-untyped-def]
    """Laws without any doubt: S = S_min (1 + B_crit/B), t = fixed + slope B/N."""
    found = fit_laws(trials, None)
    one = np.ones((1, 1))
    zero = 1e-300 * one
    parameters = StepTimeParameters(
        fixed_seconds=fixed * one, seconds_an_example=slope * one, saturation=one, latency_seconds=zero,
        seconds_a_byte=zero, node_latency_seconds=zero, node_seconds_a_byte=zero, ring_share=zero, contention=one,
        overlap=one, jitter=0 * one, input_seconds_an_example=zero,
    )  # fmt: skip
    step_seconds = StepTimeLaw(
        draws_of=parameters, misfit_D=np.zeros(1), drift_D2=np.zeros((1, 2)), num_bytes=1.0, workers_per_node=None,
        most_workers=1e9, drift=0.0, verdict="ok", reason="",
    )  # fmt: skip
    steps = dataclasses.replace(
        found.steps, draw_logs=lambda batch: np.log(s_min * (1 + b_crit / batch))[None], verdict="ok"
    )
    return dataclasses.replace(found, steps=steps, step_seconds=step_seconds)


def test_the_closed_form(make_trials) -> None:  # type: ignore[no-untyped-def]
    """laws.md section 4: with S = S_min (1 + B_c/B) and t = tau + c B/N, B* = sqrt(B_c tau N/c) and
    T* = S_min (sqrt(tau) + sqrt(c B_c/N))^2."""
    trials = make_trials(seed=0, sizes=(16, 256, 16384), max_examples=1e9)
    single = [dataclasses.replace(one, recipe=one.recipe.model_copy(update={"norm_batch_size": 1})) for one in trials]
    laws = exact_laws(single, s_min=40.0, b_crit=500.0, fixed=0.02, slope=1e-3)
    answer = make_plan(study="s", target="t", trials=single, laws=laws, workers=range(1, 65), profile=profile())
    assert len(answer.rows) == 64
    for row in answer.rows:
        best = math.sqrt(500 * 0.02 * row.num_workers / 1e-3)
        seconds = 40 * (math.sqrt(0.02) + math.sqrt(1e-3 * 500 / row.num_workers)) ** 2
        assert seconds * 0.9999 <= row.seconds_to_target <= seconds * 1.01
        if row.global_batch_size in (16, 256, 16384):
            continue  # measured, and so preferred where it takes hardly longer
        assert row.seconds_to_target == pytest.approx(seconds, rel=1e-3)
        assert row.global_batch_size == pytest.approx(best, abs=max(0.6 * row.num_workers, 0.03 * best))
        assert (row.seconds_low, row.seconds_high) == (
            pytest.approx(row.seconds_to_target, rel=0.5), pytest.approx(row.seconds_to_target, rel=0.5)
        )  # fmt: skip


def test_a_plan_s_rows_hold_together(make_trials) -> None:  # type: ignore[no-untyped-def]
    trials = make_trials(seed=1)
    answer = plan(trials, profile(latency=2e-4, byte=1e-9, jitter=0.05))
    assert [row.num_workers for row in answer.rows] == [1, 2, 4, 8, 16, 32, 64]
    for row in answer.rows:
        assert row.local_batch_size * row.num_workers == row.global_batch_size
        assert row.local_batch_size % 16 == 0, "groups that share batch statistics stay whole"
        assert row.seconds_to_target == pytest.approx(row.steps * row.step_seconds)
        assert row.examples == pytest.approx(row.steps * row.global_batch_size)
        assert row.seconds_low <= row.seconds_to_target <= row.seconds_high
        assert row.efficiency == pytest.approx(row.speedup / row.num_workers)
        assert row.device_hours == pytest.approx(row.num_workers * row.seconds_to_target / 3600)
        assert row.recipe["num_workers"] == row.num_workers
        assert row.tolerated_learning_rates is not None
        assert row.tolerated_learning_rates[0] < row.recipe["learning_rate"] < row.tolerated_learning_rates[1]
        assert row.measured == (row.num_workers <= 2)
    rates = {row.global_batch_size: row.recipe["learning_rate"] for row in answer.rows}
    assert [rates[size] for size in sorted(rates)] == sorted(rates.values())
    keys = {"study", "target", "laws", "rows", "knee"}
    assert set(answer.to_json()) >= keys
    assert set(answer.to_json()["laws"]["steps"]) >= {"name", "parameters", "interval", "fitted_on", "verdict"}


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        ({"fixed": 1e-6, "slope": 1e-4}, "steps"),
        ({"fixed": 1e-6, "slope": 1e-4, "latency": 5e-2}, "synchronising them takes"),
    ],
)
def test_the_knee_has_a_reason(make_trials, times: dict[str, float], reason: str) -> None:  # type: ignore[no-untyped-def]
    answer = plan(make_trials(seed=0, trials_per_size=20), profile(**times), (1, 2, 4, 8, 16, 32, 64))
    assert answer.knee_num_workers is not None
    assert reason in answer.knee_why


def test_perfect_scaling_has_no_knee(make_trials) -> None:  # type: ignore[no-untyped-def]
    trials = make_trials(seed=0, b_crit=1e5, max_examples=1e9, trials_per_size=20)
    answer = plan(trials, profile(fixed=1e-9, slope=1e-4))
    assert answer.knee_num_workers is None
    assert "still pays at 64" in answer.knee_why


def test_what_cannot_be_planned_is_said(make_trials) -> None:  # type: ignore[no-untyped-def]
    trials = make_trials(seed=0)
    with pytest.raises(UserError, match="step times were not measured yet"):
        plan(trials, None)
    with pytest.raises(UserError, match=r"can be divided among any of \[2000\] workers"):
        plan(trials, profile(), (2000,))
    some = plan(trials, profile(), (7, 2000))
    assert [row.num_workers for row in some.rows] == [7]
    assert some.unplanned == (2000,)
    assert "more than 16 times the largest that reached the target (1024)" in some.unplanned_why
    assert any(note.startswith("No row for 2000 workers: ") for note in plan_notes(some))


def test_without_a_law_only_measured_batch_sizes_are_planned(make_trials) -> None:  # type: ignore[no-untyped-def]
    trials = make_trials(seed=0, sizes=(64, 128))
    answer = plan(trials, profile(), (1, 3, 4, 8))
    assert answer.laws["steps"].verdict == "no-law"
    assert [row.num_workers for row in answer.rows] == [1, 4, 8], "three workers divide neither in whole groups"
    assert {row.global_batch_size for row in answer.rows} <= {64, 128}
    assert answer.to_json()["unplanned"]["num_workers"] == [3]


def test_one_batch_size_and_one_row_tell_nothing_of_more_workers(make_trials) -> None:  # type: ignore[no-untyped-def]
    """Groups of 16: a batch of 16 is dealt to one worker alone, whatever was asked."""
    answer = plan(make_trials(seed=0, sizes=(16,)), profile(), (1, 2, 4, 8))
    assert [row.num_workers for row in answer.rows] == [1]
    assert answer.knee_num_workers is None
    assert answer.knee_why == "whether more workers pay is not told by a plan for one worker alone"
    assert answer.unplanned == (2, 4, 8)
    assert "still pays" not in answer_sentence(answer)
    (note,) = [note for note in plan_notes(answer) if note.startswith("No row")]
    assert note == (
        "No row for 2, 4, 8 workers: there is no law of steps, and no batch size that reached the target (16) is dealt "
        "to them in whole groups of 16 examples."
    )


def test_one_rate_alone_is_planned_at_the_steps_it_took() -> None:
    """Five seeds of one recipe: nothing tells how the steps depend on the rate, and nothing needs it."""
    steps = (168.0, 186.0, 190.0, 197.0, 335.0)
    trials = [
        make_trial(
            number, steps_to_target=taken, seconds=0.01 * taken, global_batch_size=512, learning_rate=0.42,
            norm_batch_size=16,
        )
        for number, taken in enumerate(steps)
    ]  # fmt: skip
    (row,) = plan(trials, profile(), (1,)).rows
    assert 168 < row.steps < 250
    assert row.steps_low < row.steps < row.steps_high < 335
    assert row.recipe["learning_rate"] == pytest.approx(0.42)


def test_counts_too_close_to_compare_tell_nothing_either(make_trials) -> None:  # type: ignore[no-untyped-def]
    answer = plan(make_trials(seed=0), profile(), (4, 5))
    assert answer.knee_why == "whether more workers pay is not told by a plan for 4 and 5 workers alone"
    assert answer.unplanned == ()
    assert not any(note.startswith("No row") for note in plan_notes(answer))


def test_questions_are_answered(make_trials) -> None:  # type: ignore[no-untyped-def]
    trials, some = make_trials(seed=1), profile(latency=2e-4, byte=1e-9, jitter=0.05)
    laws = fit_laws(trials, some)
    rows = plan(trials, some).rows
    allowed = sorted(row.seconds_to_target for row in rows)[2]
    answer = make_plan(
        study="s", target="t", trials=trials, laws=laws, workers=[row.num_workers for row in rows], profile=some,
        device_hour_cost=2.0, seconds_allowed=allowed,
    )  # fmt: skip
    choices = answer.to_json()["choices"]
    rows_of = {row.num_workers: row for row in answer.rows}
    assert rows_of[choices["fastest"]].seconds_to_target == min(row.seconds_to_target for row in answer.rows)
    assert rows_of[choices["cheapest"]].cost == min(row.cost for row in answer.rows if row.cost is not None)
    assert choices["fewest_within"] == min(n for n, row in rows_of.items() if row.seconds_to_target <= allowed)
    assert (choices["fewest_surely_within"] or math.inf) >= choices["fewest_within"]
    front = [rows_of[n] for n in choices["pareto"]]
    assert choices["fastest"] in choices["pareto"]
    assert choices["cheapest"] in choices["pareto"]
    for now, more in itertools.pairwise(front):
        assert more.seconds_to_target < now.seconds_to_target
        assert more.device_hours > now.device_hours
