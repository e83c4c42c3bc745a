"""What a user can get wrong in a study file: every message in full, with its line."""

from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.studies.question.study_file import at_its_line, parse_study
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.run import run_study

VALID = """\
name: mine
task: digits
workers: [1, 8]
space:
  global_batch_size: {low: 32, high: 256, scale: log2}
  learning_rate: {low: 1.0e-4, high: 1.0, scale: log}
search: {name: halton}
scheduler: {name: none}
budget: {trials: 5}
"""


def message(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse_study(text, "study.yaml")
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert old in VALID
    return message(VALID.replace(old, new))


def test_the_text_that_these_tests_break_is_valid() -> None:
    assert parse_study(VALID, "study.yaml").workers == (1, 8)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "budget:",
            "first_trials: [{learning_rate: 0.1}, {learnin_rate: 0.1}]\nbudget:",
            "9: first_trials: recipe 2: unknown hyper-parameter 'learnin_rate'; did you mean 'learning_rate'?",
        ),
        (
            "budget:",
            "first_trials:\n  - {learning_rate: -0.1}\nbudget:",
            "9: first_trials: recipe 1: learning_rate: Input should be greater than 0",
        ),
        ("task: digits", 'task: "dig\\e[1m"', "2: task: 'dig\\x1b[1m' holds a character that cannot be shown"),
        ("task: digits", 'task: "\\udce9"', "2: task: '\\udce9' holds a character that cannot be shown"),
        ("search:", "serach:", "7: unknown key 'serach'; did you mean 'search'?"),
        ("{trials: 5}", "{trails: 5, minutes: 1}", "9: budget: unknown key 'trails'; did you mean 'trials'?"),
        ("task:", "tsk:", "2: unknown key 'tsk'; did you mean 'task'?"),
        ("low: 1.0e-4", "lo: 1.0e-4", "6: space.learning_rate: unknown key 'lo'; did you mean 'low'?"),
        ("low: 1.0e-4", "lwo: 1", "6: space.learning_rate: unknown key 'lwo'; did you mean 'low'?"),
        (
            "  learning_rate",
            "  lerning_rate",
            "6: space: unknown hyper-parameter 'lerning_rate'; did you mean 'learning_rate'?",
        ),
        ("task: digits\n", "", "1: task: this key is required"),
    ],
)
def test_unknown_and_missing_keys(old: str, new: str, expected: str) -> None:
    assert changed(old, new) == f"study.yaml:{expected}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("trials: 5", "trials: many", "9: budget.trials: must be a whole number; got 'many'"),
        ("trials: 5", "trials: 2.5", "9: budget.trials: must be a whole number; got 2.5"),
        ("trials: 5", "trials: true", "9: budget.trials: must be a number, not true or false"),
        ("trials: 5", "trials: 0", "9: budget.trials: must be greater than 0; got 0"),
        ("trials: 5", "minutes: .inf", "9: budget.minutes: must be finite; got inf"),
        (
            "trials: 5",
            "examples_per_trial: 5",
            "9: budget: at least one of trials, examples and minutes must be given, or the study never ends",
        ),
        ("name: mine", "name: 12", "1: name: must be text; got 12"),
        (
            "name: mine",
            "name: ../mine",
            "1: name: must be at most 100 letters, digits, '.', '_' or '-', and begin with a letter or digit, "
            "for it names a folder; got '../mine'",
        ),
        (
            "task: digits",
            "task: two words",
            "2: task: must be the name of a task that ships, or package.module:function; got 'two words'",
        ),
        ("[1, 8]", "8", "3: workers: must be a list, as in [1, 2]; got 8"),
        ("[1, 8]", "[]", "3: workers: must hold at least one value; got []"),
        ("[1, 8]", "[1, 0]", "3: workers: must be greater than 0; got 0"),
        ("{name: halton}", "halton", "7: search: must be a mapping; got 'halton'; write {name: halton}"),
        ("{name: halton}", "{name: grid, seed: -1}", "7: search.seed: must be at least 0; got -1"),
        (
            "{low: 1.0e-4, high: 1.0, scale: log}",
            "[0.1, 1]",
            "6: space.learning_rate: must be a value, or {low: .., high: ..}, or {choices: [..]}; got [0.1, 1]",
        ),
        (
            "{low: 1.0e-4, high: 1.0, scale: log}",
            "{choices: [0.1, [1]]}",
            "6: space.learning_rate.choices: must be a number or text; got [1]",
        ),
        ("scale: log}", "scale: lgo}", "6: space.learning_rate.scale: unknown value 'lgo'; did you mean 'log'?"),
        (
            "high: 1.0, ",
            "",
            "6: space.learning_rate.high: a range needs both low and high; for one value write the value itself",
        ),
        ("search:", "  momentum: true\nsearch:", "7: space.momentum: must be a number or a name; got true"),
        (
            "search:",
            "  schedule: {low: 1, high: 2}\nsearch:",
            "7: space.schedule: low and high are for numbers, and schedule is not one; use choices: [..]",
        ),
        (
            "search:",
            "  warmup_steps: {low: 0.5, high: 2}\nsearch:",
            "7: space.warmup_steps.low: must be a whole number; got 0.5",
        ),
    ],
)
def test_wrong_types_and_values(old: str, new: str, expected: str) -> None:
    assert changed(old, new) == f"study.yaml:{expected}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "low: 1.0e-4, high: 1.0",
            "low: 1.0, high: 0.5",
            "6: space.learning_rate: `low < high` must hold; got low=1, high=0.5; for one value write the value itself",
        ),
        (
            "low: 1.0e-4",
            "low: 0",
            "6: space.learning_rate: `low > 0` must hold for scale log; got low=0, high=1; use scale: linear or "
            "a low > 0",
        ),
        (
            "high: 256",
            "high: 200",
            "5: space.global_batch_size: scale log2 doubles from low to high, so high must be low times a power "
            "of two; got low=32, high=200; use high: 128 or 256",
        ),
        (
            "scale: log2",
            "scale: log",
            "5: space.global_batch_size: must take finitely many values; use scale: log2, or choices: [32, 64, ..]",
        ),
        (
            "{low: 32, high: 256, scale: log2}",
            "{choices: [48, 256]}",
            "5: space.global_batch_size: a batch size above norm_batch_size must be a multiple of it; got 48 "
            "with 32; drop 48, or choose another norm_batch_size",
        ),
        ("search:", "  momentum: 1.5\nsearch:", "7: space.momentum: must be less than 1; got 1.5"),
        (
            "search:",
            "  num_workers: 2\nsearch:",
            "7: space.num_workers: num_workers is not searched; the study's `workers` lists the worker counts",
        ),
        (
            "search:",
            "  warmup_steps: 5\n  warmup_fraction: 0.1\nsearch:",
            "8: space.warmup_fraction: a recipe can have warmup_steps or warmup_fraction, not both; drop one",
        ),
        (
            "search:",
            "  beta1: {low: 0.8, high: 0.9, when: {optimiser: [adamw]}}\nsearch:",
            "7: space.beta1.when.optimiser: `when` must name what the space holds; got 'optimiser'; valid: "
            "beta1, global_batch_size, learning_rate",
        ),
        (
            "search:",
            "  beta1: {low: 0, high: 0.9, when: {global_batch_size: [33]}}\nsearch:",
            "7: space.beta1.when.global_batch_size: global_batch_size never is 33; drop it, or add it to "
            "global_batch_size",
        ),
        (
            "[1, 8]",
            "[1, 8, 128, 160, 512]",
            "3: workers: 160, 512 workers with whole groups of 32 need a batch more than 16 times the largest of "
            "[32, 64, 128, 256]; the most that works: 128; add larger batch sizes, lower norm_batch_size, or drop the "
            "count",
        ),
        (
            "workers:",
            "target: {metric: accuracy, above: 0.9, below: 0.1}\nworkers:",
            "3: target: exactly one of `above` and `below` must be given; got above=0.9, below=0.1",
        ),
    ],
)
def test_what_does_not_fit_together(old: str, new: str, expected: str) -> None:
    assert changed(old, new) == f"study.yaml:{expected}"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("halton", "haltn", "7: search.name: unknown searcher 'haltn'; did you mean 'halton'?"),
        (
            "halton}",
            "halton, learning_rate_rule: liner}",
            "7: search.learning_rate_rule: unknown rule 'liner'; did you mean 'linear'?",
        ),
        (
            "none",
            "zebra",
            "8: scheduler.name: unknown scheduler 'zebra'; valid: asha, hyperband, median, none, pbt, projection",
        ),
        ("search:", "  optimizer: sdg\nsearch:", "7: space.optimizer: unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ("budget:", "repeats: 0\nbudget:", "9: repeats: must be greater than 0; got 0"),
    ],
)
def test_unknown_names_differ_from_what_is_not_built(old: str, new: str, expected: str) -> None:
    assert changed(old, new) == f"study.yaml:{expected}"


def test_a_population_needs_its_size() -> None:
    text = VALID.replace("none", "pbt").replace("trials:", "examples:")
    assert "budget: scheduler pbt needs trials, the size of its population; add trials: 20, say" in message(text)


def test_an_empty_space_lacks_both_keys() -> None:
    text = "name: mine\ntask: digits\nspace: {}\nbudget: {trials: 1}\n"
    rule = "study.yaml:3: space: a space must hold global_batch_size and learning_rate"
    assert message(text) == f"{rule}; global_batch_size is missing\n{rule}; learning_rate is missing"


def test_a_key_that_stands_twice() -> None:
    assert (
        changed("search:", "task: digits\nsearch:")
        == "study.yaml:7: task: the key stands twice; the first is in line 2"
    )
    assert message(VALID + "1: x\n") == "study.yaml:10: a key must be text; got '1'"


def test_all_mistakes_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = VALID.replace("high: 256", "high: 200").replace("halton", "gided").replace("digits", "7") + "repeats: 0\n"
    lines = [line.split(":")[1:3] for line in message(text + "serach: 1\n").splitlines()]
    assert lines == [
        ["2", " task"],
        ["5", " space.global_batch_size"],
        ["7", " search.name"],
        ["10", " repeats"],
        ["11", " unknown key 'serach'; did you mean 'search'?"],
    ]


def test_the_example_of_the_design_is_a_study() -> None:
    """At the default ``norm_batch_size`` of 32 its 64 workers need twice the largest batch, which is predicted."""
    text = (Path(__file__).parent / "gw-small.yaml").read_text()
    study = parse_study(text, "study.yaml")
    assert (study.workers[-1], study.space.most_workers, study.repeats) == (64, 512, 3)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "search:",
            "  task.wdith: {choices: [8]}\nsearch:",
            "7: space.task.wdith: digits takes no option 'wdith'; it takes none",
        ),
        (
            "workers:",
            "target: {metric: val_acuracy, above: 0.9}\nworkers:",
            "3: target.metric: unknown metric",
        ),
        ("task: digits", "task: digist", "2: task: unknown task 'digist'; did you mean 'digits'?"),
    ],
)
def test_what_only_the_task_can_tell_has_its_line_and_is_told_before_the_difference_to_the_record(
    old: str, new: str, expected: str, tmp_path: Path
) -> None:
    known = parse_study(VALID, "study.yaml")
    StudyDirectory(tmp_path / "out").path.mkdir()
    StudyDirectory(tmp_path / "out").freeze(known, Target(metric="val_accuracy", above=0.9), "0")
    text = VALID.replace(old, new)
    with pytest.raises(UserError) as caught:
        run_study(parse_study(text, "study.yaml"), tmp_path / "out", in_process=True)
    assert str(at_its_line(caught.value, text, "study.yaml")).startswith(f"study.yaml:{expected}")
    assert "holds another study" not in str(caught.value)


def test_a_difference_that_the_task_knows_is_told_as_one(tmp_path: Path) -> None:
    StudyDirectory(tmp_path / "out").path.mkdir()
    StudyDirectory(tmp_path / "out").freeze(
        parse_study(VALID, "study.yaml"), Target(metric="val_accuracy", above=0.9), "0"
    )
    other = parse_study(VALID.replace("trials: 5", "trials: 6"), "study.yaml")
    with pytest.raises(UserError, match="holds another study") as caught:
        run_study(other, tmp_path / "out", in_process=True)
    assert at_its_line(caught.value, VALID, "study.yaml") is caught.value
