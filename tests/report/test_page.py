import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import plotly.graph_objects
import pytest

from largebatch.spaces.target import Target
from largebatch.spaces.trial import Measurement, Trial
from largebatch.studies.views.report import shell
from largebatch.studies.views.report.figures import every
from largebatch.studies.views.report.figures.curves import MAX_CURVES

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)"> & %{x}'


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._open = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open = tag

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open not in ("script", "style"):
            self.words.append(data)


def parsed(path):
    return Elements(path.read_text(encoding="utf-8"))


def figures(path):
    """Figure name -> its data, validated against plotly's schema."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    found = {}
    pattern = r'<script type="application/json" id="([\w-]+)-data">(.*?)</script>'
    for name, data in re.findall(pattern, path.read_text(encoding="utf-8"), re.DOTALL):
        figure = json.loads(data, parse_constant=refuse)
        plotly.graph_objects.Figure({"data": figure["data"], "layout": figure["layout"]})
        found[name] = figure
    return found


def words(path):
    return re.sub(r"\s+", " ", " ".join(parsed(path).words))


def trace(figure, name):
    return next(trace for trace in figure["data"] if trace.get("name") == name)


def test_page_is_self_contained_and_small(write):
    path = write()
    assert path.stat().st_size < 6e6
    for tag, attributes in parsed(path).elements:
        assert tag not in ("img", "iframe", "object", "embed", "base")
        assert tag != "link" or attributes["href"] == "data:,"
        assert tag != "script" or "src" not in attributes
    style = re.search(r"<style>(.*?)</style>", path.read_text(encoding="utf-8"), re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_page_has_answer_table_figures_and_laws(write, example):
    path = write()
    text = words(path)
    assert "With 8 workers: batch 512" in text
    assert "one device like the one that was timed (one core)" in text
    assert "leave-one-out error 4 %" in text
    assert "steps = S_min (1 + B_crit / batch)" in text
    assert set(figures(path)) == {
        *("workers", "cost", "steps", "learning-rate", "residuals-steps", "residuals-learning-rate", "curves")
    }
    knee = [
        attributes for tag, attributes in parsed(path).elements if tag == "tr" and attributes.get("class") == "knee"
    ]
    assert len(knee) == 1


def test_strings_of_a_study_are_escaped(write, example):
    evil = example.trial(63, 64, 0.4, reason=EVIL)
    target = Target(metric=EVIL, above=0.95)
    curves = {63: [Measurement(step=s, examples=s, seconds=1.0 * s, values={EVIL: 0.1 * s}) for s in range(4)]}
    plan = example.plan(study=EVIL, target=str(target), knee_why=EVIL)
    num_scripts = sum(tag == "script" for tag, _ in parsed(write()).elements)
    path = write(
        study_name=EVIL,
        target=target,
        trials=[*example.trials(), evil],
        curves=curves,
        plan=plan,
        facts={EVIL: EVIL, "device": EVIL},
    )
    assert sum(tag == "script" for tag, _ in parsed(path).elements) == num_scripts
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in parsed(path).elements)
    # Plotly reads a part of HTML in labels, so its strings are escaped once more.
    assert "<img" not in json.dumps(figures(path))
    assert EVIL in words(path)


def test_problem_stands_in_place_of_the_plan(write):
    path = write(plan=None, laws=None, problem="No trial reached <the> target.")
    assert "No trial reached <the> target." in words(path)
    assert "workers" not in figures(path)
    assert "There is no plan yet." in words(write(plan=None, laws=None))


def test_no_trials_at_all(write):
    path = write(trials=[], laws=None, plan=None, problem="Nothing has run yet.")
    assert figures(path) == {}
    assert "No trial has been recorded yet." in words(path)


def test_no_trial_reached(write, example):
    trials = [trial for trial in example.trials() if not trial.reached]
    assert set(figures(write(trials=trials, laws=None, plan=None, problem="None."))) == {
        "learning-rate",
        "steps",
        "curves",
    }


def test_one_running_trial_without_measurements(write, example):
    trial = example.trial(0, 48, 0.3)
    running = Trial(number=0, recipe=trial.recipe, num_devices=1, running=True, intermediate={}, ending=None)
    path = write(trials=[running], curves={}, laws=None, plan=None, problem="One trial runs.")
    assert set(figures(path)) == {"learning-rate", "steps"}
    assert "running" in words(path)


@pytest.mark.parametrize("verdict", ["ok", "flat", "no-law"])
def test_every_verdict_is_told(write, example, verdict):
    path = write(laws=example.laws(verdict))
    said = {"ok": "the law fits", "flat": "flat within the noise", "no-law": "nothing is predicted"}[verdict]
    assert said in words(path)
    names = [trace.get("name") for trace in figures(path)["steps"]["data"]]
    assert ("law, where it was fitted" in names) is (verdict != "no-law")


def test_outcomes_differ_in_symbol_and_color(write, example):
    figure = figures(write())["learning-rate"]
    marks = [trace(figure, name)["marker"] for name in ("diverged", "used up its examples")]
    assert len({mark["symbol"] for mark in marks}) == len({mark["color"] for mark in marks}) == 2
    assert all(mark["symbol"].endswith("-open") for mark in marks)


def test_repeats_stand_side_by_side(write, example):
    figure = figures(write(trials=example.trials(3)))["learning-rate"]
    places = [
        place for trace in figure["data"] if "marker" in trace for place in zip(trace["x"], trace["y"], strict=True)
    ]
    best = [
        place for trace in figure["data"] if "error_y" in trace for place in zip(trace["x"], trace["y"], strict=True)
    ]
    trials = [place for place in places if place not in best]
    assert len(set(trials)) == len(example.trials(3))


def test_censored_optimum_is_an_arrow_and_an_edge_is_open(write):
    figure = figures(write())["steps"]
    assert trace(figure, "at least so many (censored)")["x"] == [1024]
    edge = trace(figure, "fewest steps of a batch size, on the edge")
    assert edge["x"] == [16]
    assert edge["marker"]["symbol"].endswith("-open")


def test_law_beyond_the_trials_is_dashed(write, example):
    figure = figures(write())["steps"]
    assert trace(figure, "law, extrapolated")["line"]["dash"] == "dash"
    # No trial of 1024 reached the target in this study, so the largest measured batch size is 512.
    assert min(trace(figure, "law, extrapolated")["x"][:-1]) == 512
    assert max(trace(figure, "law, where it was fitted")["x"][:-1]) == 512


def test_plan_of_one_worker_and_plan_with_holes(write, example):
    assert "workers" in figures(write(plan=example.plan(rows=(example.row(1),), knee_num_workers=None)))
    unbounded = example.row(4, seconds_low=math.nan, seconds_high=math.inf)
    nothing = example.row(8, seconds_to_target=math.nan, efficiency=math.nan, speedup=math.nan)
    assert "workers" in figures(write(plan=example.plan(rows=(example.row(1), unbounded, nothing))))
    path = write(plan=example.plan(rows=(nothing,), knee_num_workers=None, knee_why=""))
    assert "workers" not in figures(path)


def test_measured_is_filled_and_predicted_is_open(write):
    figure = figures(write())["workers"]
    assert trace(figure, "measured")["x"] == [1, 2]
    assert trace(figure, "measured")["marker"]["color"] != trace(figure, "predicted")["marker"]["color"]


def test_thousands_of_trials(write, example):
    rng = np.random.default_rng(0)
    trials = [
        example.trial(n, int(rng.choice(example.SIZES)), float(np.exp(rng.uniform(-4, 2))), seed=n % 4)
        for n in range(6000)
    ]
    path = write(trials=trials)
    assert path.stat().st_size < 6e6
    drawn = figures(path)
    points = sum(len(trace["x"]) for trace in drawn["learning-rate"]["data"] if trace.get("mode") == "markers")
    assert points <= every.MAX_POINTS + len(example.SIZES)
    assert len(drawn["curves"]["switch"][0]["x"]) == MAX_CURVES
    assert "1,000 of 6,000 trials are drawn" in words(path)
    assert "the first 1,500 of 6,000" in words(path)


def test_curves_offer_three_axes_of_the_same_lines(write):
    figure = figures(write())["curves"]
    assert [choice["name"] for choice in figure["switch"]] == ["examples", "steps", "seconds"]
    for choice in figure["switch"]:
        assert [len(x) for x in choice["x"]] == [len(line["y"]) for line in figure["data"][: len(choice["x"])]]
        plotly.graph_objects.layout.XAxis(choice["axis"])


def test_loss_that_diverges_does_not_hide_the_rest(write, example):
    trials = example.trials()
    curves = {trial.number: example.curve(trial) for trial in trials}
    wild = Measurement(step=9, examples=9, seconds=9.0, values={"val_loss": 1e30})
    curves[0] = [*curves[0], wild]
    figure = figures(write(target=Target(metric="val_loss", below=0.15), trials=trials, curves=curves))["curves"]
    assert figure["layout"]["yaxis"].get("type") != "log"
    assert figure["layout"]["yaxis"]["range"][1] < 10


def test_page_is_replaced_whole_or_not_at_all(write, monkeypatch):
    path = write(study_name="first")
    monkeypatch.setattr(shell, "STYLE", "\ud800")  # Cannot be encoded: fails while writing.
    with pytest.raises(UnicodeEncodeError):
        write(study_name="second")
    assert "first" in words(path)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
