"""Study files that are valid: what they hold, what they write, and that nothing else comes of any text."""

import random
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from largebatch.spaces.domain import Choice
from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable
from largebatch.studies.question.study import SCHEDULERS, SEARCHERS, Study
from largebatch.studies.question.study_file import (
    find_study,
    fingerprint,
    load_study,
    parse_study,
    study_diff,
    study_text,
)
from largebatch.testing import make_study

QUICKSTART = find_study("quickstart")[1]


mine = partial(make_study, name="mine")


def test_the_study_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quickstart = parse_study(QUICKSTART, "quickstart.yaml")
    assert quickstart.workers == (1, 2, 4, 8, 16, 32, 64)
    assert quickstart.space.batch_sizes == (16, 32, 64, 128, 256, 512, 1024)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert find_study("quickstart") == ("quickstart.yaml", QUICKSTART)
    (tmp_path / "own.yaml").write_text(QUICKSTART)
    assert find_study("own.yaml") == ("own.yaml", QUICKSTART)
    assert load_study(tmp_path / "own.yaml") == quickstart


@pytest.mark.parametrize("number", ["1e-4", "1.0e-4", "0.0001", "'1e-4'", "1E-4", "+1.e-4", ".1e-3"])
def test_a_number_is_one_however_it_is_written(number: str) -> None:
    """YAML 1.1 reads ``1e-4`` as a text, for it has no dot."""
    for domain in (f"{{low: {number}, high: 1, scale: log}}", number, f"{{choices: [{number}, 1]}}"):
        text = study_text(mine()).replace("{low: 0.0001, high: 1.0, scale: log}", domain)
        assert parse_study(text, "").space.root["learning_rate"].grid(2)[0] == 1e-4


@pytest.mark.parametrize("number", ["2.0e+7", "2e7", "20000000", "20_000_000", "2.0e7"])
def test_examples_are_whole_however_they_are_written(number: str) -> None:
    examples = parse_study(study_text(mine()).replace("trials: 5", f"examples: {number}"), "").budget.examples
    assert examples == 20_000_000
    assert isinstance(examples, int)


def test_a_value_is_a_choice_of_one() -> None:
    space = mine(space={**mine().to_dict()["space"], "momentum": 0.9, "norm_batch_size": 16.0}).space
    assert space.root["momentum"] == Choice(choices=(0.9,))
    assert space.root["norm_batch_size"].values() == (16,)


def test_anchors_and_merges_are_allowed() -> None:
    text = study_text(mine()).replace("high: 256.0", "high: &high 256")
    text = text.replace("budget: {trials: 5}", "budget: &base {trials: 5}\nresources: {<<: {concurrent_trials: 2}}")
    text = re.sub(r"(?m)^resources: {devices_per_trial.*\n", "", text)
    assert parse_study(text, "").resources.concurrent_trials == 2
    with pytest.raises(UserError, match=r"^x:1: budget.trials: must be greater than 0; got 0$"):
        parse_study("budget: &b {<<: {trials: 0}}\n" + text.replace("budget: &base {trials: 5}\n", ""), "x")


def test_a_date_for_a_name_is_text() -> None:
    assert parse_study(study_text(mine()).replace("name: mine", "name: 2026-11-23"), "").name == "2026-11-23"


def test_workers_are_ascending_and_unique() -> None:
    assert mine(workers=[8, 1, 8]).workers == (1, 8)


def test_equal_studies_have_equal_fingerprints() -> None:
    assert fingerprint(mine()) == fingerprint(mine(search={})) == fingerprint(parse_study(study_text(mine()), ""))
    assert len({mine(), mine(search={}), mine(workers=[1])}) == 2
    assert fingerprint(mine()) != fingerprint(mine(workers=[1]))


def test_a_difference_is_told_field_by_field() -> None:
    changed = mine(budget={"minutes": 5}, space={**mine().to_dict()["space"], "momentum": {"choices": [0.8, 0.9]}})
    assert study_diff(mine(), mine()) == ""
    assert study_diff(mine(), changed).splitlines() == [
        "+ space.momentum: {choices: [0.8, 0.9]}",
        "- budget.trials: 5",
        "+ budget.minutes: 5.0",
    ]


def test_reading_a_study_loads_no_engine() -> None:
    code = (
        "import sys, largebatch.studies.question.study_file\n"
        "heavy = {'torch', 'ray', 'optuna', 'numpy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


NUMBERS = st.floats(min_value=1e-12, max_value=0.45)
SLUGS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True) | st.sampled_from(
    ["1e-4", "1e5", "yes", "null", "2026-11-23", "1_000", "0x1F", "12.5", "0o7"]
)
RANGES = st.builds(
    lambda low, factor, scale: {"low": low, "high": low * factor, "scale": scale},
    NUMBERS, st.floats(1.1, 2), st.sampled_from(["linear", "log", "log1m"]),
)  # fmt: skip
FRACTIONS = RANGES | NUMBERS | st.lists(NUMBERS, min_size=1, unique=True).map(lambda choices: {"choices": choices})
SPACES = st.fixed_dictionaries(
    {
        "global_batch_size": st.integers(0, 6).map(lambda k: {"low": 256, "high": 256 * 2**k, "scale": "log2"}),
        "learning_rate": FRACTIONS,
        "optimizer": st.sampled_from(["sgd", "adamw", {"choices": ["sgd", "adamw"]}]),
    },
    optional={
        "momentum": RANGES.map(lambda one: {**one, "when": {"global_batch_size": [256]}}),
        "weight_decay": FRACTIONS,
        "warmup_fraction": FRACTIONS,
        "seed": st.lists(st.integers(0, 9), min_size=1, unique=True).map(lambda choices: {"choices": choices}),
        "schedule": st.sampled_from(["constant", "cosine"]),
        "norm_batch_size": st.sampled_from([8, 16, 32, {"choices": [16, 32]}]),
    },
).map(lambda space: {**space, "global_batch_size": _one_or_range(space["global_batch_size"])})
BOUNDS = st.floats(allow_nan=False, allow_infinity=False)
STUDIES = st.fixed_dictionaries(
    {
        "name": SLUGS,
        "task": SLUGS | st.text("abc.:_ü\U0001f600'\"#&*!%@`{}[],-", min_size=1, max_size=20),
        "workers": st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1),
        "space": SPACES,
        "budget": st.fixed_dictionaries(
            {"trials": st.integers(1, 2**63 - 1)}, optional={"minutes": st.floats(1e-300, 1e300)}
        ),
    },
    optional={
        "target": st.builds(
            lambda metric, bound, side: {"metric": metric, side: bound},
            st.text(max_size=10).map(printable), BOUNDS, st.sampled_from(["above", "below"]),
        ),
        "search": st.fixed_dictionaries({"name": st.sampled_from(SEARCHERS), "seed": st.integers(0, 2**31 - 1)}),
        "scheduler": st.fixed_dictionaries({"name": st.sampled_from(SCHEDULERS)}),
    },
)  # fmt: skip


def _one_or_range(domain: dict[str, Any]) -> Any:
    return domain if domain["low"] < domain["high"] else domain["low"]


@given(STUDIES)
@settings(max_examples=150, deadline=None)
def test_what_is_written_is_read_back(plain: dict[str, Any]) -> None:
    one = Study.model_validate(plain)
    again = parse_study(study_text(one), "")
    assert again == one
    assert fingerprint(again) == fingerprint(one)
    assert study_text(again) == study_text(one)


def outcome(text: str) -> Study | None:
    """The study, or None where a mistake was told in plain words."""
    try:
        return parse_study(text, "fuzz.yaml")
    except UserError as mistake:
        told = str(mistake)
    assert all(line.startswith("fuzz.yaml:") for line in told.splitlines()), told
    for jargon in ("pydantic", "Value error", "nput should", "Choice.", "validation error"):
        assert jargon not in told
    return None


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.dates() | st.binary(max_size=4) | st.sampled_from([10**30, -1, 1e300, "1e-4", "sgd", "digits", "lamb"])
)  # fmt: skip
KEYS = st.sampled_from(
    [*Study.model_fields, "low", "high", "scale", "choices", "when", "momentum", "learning_rate", "global_batch_size"]
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | SCALARS.filter(lambda key: key == key), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, TREES, max_size=8) | TREES)
@settings(max_examples=150, deadline=None)
def test_any_tree_is_a_study_or_a_mistake(tree: Any) -> None:
    outcome(yaml.safe_dump(tree))


def _replaced(tree: Any, choose: random.Random, value: Any) -> Any:
    """``tree`` with one of its parts replaced, renamed or dropped."""
    if not isinstance(tree, dict | list) or not tree or choose.random() < 0.15:
        return value
    if isinstance(tree, list):
        index = choose.randrange(len(tree))
        return [*tree[:index], _replaced(tree[index], choose, value), *tree[index + 1 :]]
    key = choose.choice(list(tree))
    if choose.random() < 0.15:
        return {str(value)[:5] if name == key else name: inner for name, inner in tree.items()}
    return {**tree, key: _replaced(tree[key], choose, value)}


@given(STUDIES, st.randoms(use_true_random=False), st.lists(TREES, min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_change_of_a_study_is_a_study_or_a_mistake(tree: Any, choose: random.Random, values: list[Any]) -> None:
    for value in values:
        tree = _replaced(tree, choose, value)
    found = outcome(yaml.safe_dump(tree))
    if found is not None:
        assert parse_study(study_text(found), "") == found


@given(st.integers(0, len(QUICKSTART)), st.integers(0, 12), st.text("{}[]:,-&*!|>'\"#%@`? \n\t<=~0aé\x00", max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_slip_of_the_hand_is_a_study_or_a_mistake(at: int, length: int, typed: str) -> None:
    outcome(QUICKSTART[:at] + typed + QUICKSTART[at + length :])


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_study_or_a_mistake(text: str) -> None:
    outcome(text)
