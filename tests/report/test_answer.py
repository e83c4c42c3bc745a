import math

import pytest

from largebatch.studies.answer.best_trials import (
    answer_sentence,
    format_number,
    format_seconds,
    format_seconds_interval,
    plan_table,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00045, "0.45 ms"),
        (0.012, "12 ms"),
        (0.8, "0.8 s"),
        (9.96, "10 s"),
        (12.3, "12 s"),
        (59.4, "59 s"),
        (59.7, "1.0 min"),
        (210, "3.5 min"),
        (3599, "1.0 h"),
        (7560, "2.1 h"),
        (362_880, "4.2 d"),
        (1e9, "11,574 d"),
        (0, "0.0 s"),
        (math.nan, "unknown"),
        (math.inf, "unbounded"),
    ],
)
def test_seconds(seconds, text):
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (10, 15, "10 to 15 s"),
        (50, 90, "50 s to 1.5 min"),
        (10.1, 10.2, "10 s"),
        (10, math.inf, "at least 10 s"),
        (math.nan, math.nan, "unknown"),
    ],
)
def test_interval(low, high, text):
    assert format_seconds_interval(low, high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8, "0.8"),
        (0.025, "0.025"),
        (1.5e-6, "1.5e-6"),
        (1234.5, "1,234"),
        (0, "0"),
        (99.96, "100"),
        (12.34, "12.3"),
        (math.nan, "–"),
        (None, "–"),
    ],
)
def test_number(value, text):
    assert format_number(value) == text


def test_sentence_of_the_knee(example):
    rows = (
        example.row(1, seconds_to_target=50.0, speedup=1.0),
        example.row(8, seconds_to_target=12.1, seconds_low=10.0, seconds_high=15.0, speedup=4.1),
        example.row(16, seconds_to_target=11.0, speedup=4.5),
    )
    plan = example.plan(rows=rows, knee_num_workers=8, knee_why="16 bring 1.1 times more.")
    assert answer_sentence(plan) == (
        "With 8 workers: batch 512, learning rate 1.26, about 12 s to val_accuracy above 0.95 (90 % interval 10 to "
        "15 s), 4.1 times faster than one worker. Beyond 8 workers, adding more pays little: 16 bring 1.1 times more."
    )


def test_sentence_without_a_knee_is_of_the_fastest(example):
    sentence = answer_sentence(example.plan(knee_num_workers=None, knee_why="all counts planned still pay"))
    fastest = min(example.plan().rows, key=lambda row: row.seconds_to_target)
    assert sentence.startswith(f"With {fastest.num_workers} workers")
    assert sentence.endswith("one worker. All counts planned still pay.")


def test_sentence_of_one_row(example):
    sentence = answer_sentence(example.plan(rows=(example.row(1),), knee_num_workers=None, knee_why=""))
    assert sentence.startswith("With one worker: ")
    assert "faster" not in sentence


def test_sentence_without_speedup_or_rows(example):
    rows = (example.row(2), example.row(4, speedup=1.01))
    plan = example.plan(rows=rows, knee_num_workers=4, knee_why="")
    assert "no faster than 2 workers. Beyond 4 workers" in answer_sentence(plan)
    assert "no plan" in answer_sentence(example.plan(rows=()))


def test_cost_is_a_column_only_where_it_is_given(example):
    assert "cost" not in plan_table(example.plan()).columns
    table = plan_table(example.plan(rows=(example.row(1, cost=1.25), example.row(8, cost=None))))
    assert [row[table.columns.index("cost")] for row in table.rows] == ["1.25", "–"]
    assert table.knee == 1
    assert [row[-1] for row in table.rows] == ["measured", "predicted"]
    assert all(len(row) == len(table.columns) for row in table.rows)
