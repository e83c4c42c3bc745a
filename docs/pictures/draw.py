"""The five pictures of docs/concepts.md, drawn with the package's own laws: python docs/pictures/draw.py [FOLDER]

Numbers are made up, as the page says, and laws are the package's. Each picture has its own background and follows the
reader's colour scheme.
"""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from largebatch.search.laws.batch_size.steps_law import fit_steps_law
from largebatch.search.laws.batch_size.valley import linex
from largebatch.search.laws.from_table import Trainings, pool
from largebatch.search.laws.step_time.step_time_model import StepTimeParameters, step_parts
from largebatch.search.plan.knee import KNEE_GAIN

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 28, 56
S_MIN, B_CRIT = 1_000.0, 600.0
GRADIENT_BYTES = 1.0e8
STYLE = """
.card{fill:#fff}.text{fill:#24292f}.soft{fill:#57606a}.axis{stroke:#57606a}.grid{stroke:#d8dee4}
.one{stroke:#0969da;fill:#0969da}.two{stroke:#bc4c00;fill:#bc4c00}.three{stroke:#1a7f37;fill:#1a7f37}
.box{fill:#eaeef2;stroke:#8c959f}
@media(prefers-color-scheme:dark){.card{fill:#16191d}.text{fill:#e6edf3}.soft{fill:#a5adb6}.axis{stroke:#a5adb6}
.grid{stroke:#333a42}.one{stroke:#6cb6ff;fill:#6cb6ff}.two{stroke:#f69d50;fill:#f69d50}
.three{stroke:#6bc46d;fill:#6bc46d}.box{fill:#262c33;stroke:#6e7681}}
text{font:14px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
text,text.one,text.two,text.three{stroke:none}
.line{fill:none;stroke-width:2.5}.dash{stroke-dasharray:6 5}.band{stroke:none;opacity:.18}
.axis,.grid{stroke-width:1}"""

Axis = tuple[float, float]


class Picture:
    """Marks in the pixels of a picture; with ``axes`` also in the numbers of two logarithmic axes."""

    def __init__(self, title: str, x: Axis = (1, 10), y: Axis = (1, 10)) -> None:
        self.title, self.x_axis, self.y_axis = title, x, y
        self.marks: list[str] = []

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(value / self.x_axis[0]) / math.log(
            self.x_axis[1] / self.x_axis[0]
        )

    def y(self, value: float) -> float:
        low, high = self.y_axis
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * math.log(value / low) / math.log(high / low)

    def text(self, x: float, y: float, words: str, kind: str = "text", anchor: str = "start") -> None:
        self.marks.append(f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{words}</text>')

    def axes(self, x_name: str, y_name: str, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> None:
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick in x_ticks:
            self.segment((self.x(tick), TOP), (self.x(tick), bottom), "grid")
            self.text(self.x(tick), bottom + 20, f"{tick:,g}", "soft", "middle")
        for tick in y_ticks:
            self.segment((LEFT, self.y(tick)), (right, self.y(tick)), "grid")
            self.text(LEFT - 8, self.y(tick) + 5, f"{tick:,g}", "soft", "end")
        self.segment((LEFT, bottom), (right, bottom), "axis")
        self.segment((LEFT, TOP), (LEFT, bottom), "axis")
        self.text((LEFT + right) / 2, HEIGHT - 12, x_name, anchor="middle")
        self.text(LEFT - 56, TOP - 10, y_name)

    def segment(self, one: Axis, other: Axis, kind: str) -> None:
        self.marks.append(
            f'<line class="{kind}" x1="{one[0]:.1f}" y1="{one[1]:.1f}" x2="{other[0]:.1f}" y2="{other[1]:.1f}"/>'
        )

    def line(self, xs: np.ndarray, ys: np.ndarray, kind: str) -> None:
        inside = [(a, b) for a, b in zip(xs, ys, strict=True) if self.y_axis[0] <= b <= self.y_axis[1]]
        places = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in inside)
        self.marks.append(f'<polyline class="line {kind}" points="{places}"/>')

    def band(self, xs: np.ndarray, low: np.ndarray, high: np.ndarray, kind: str) -> None:
        low, high = np.clip(low, *self.y_axis), np.clip(high, *self.y_axis)
        edge = [*zip(xs, low, strict=True), *zip(xs[::-1], high[::-1], strict=True)]
        places = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in edge)
        self.marks.append(f'<polygon class="band {kind}" points="{places}"/>')

    def dot(self, x: float, y: float, kind: str) -> None:
        self.marks.append(f'<circle class="{kind}" cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="4.5"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box") -> None:
        self.marks.append(
            f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="5"/>'
        )

    def svg(self) -> str:
        inside = "\n".join(self.marks)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'role="img"><title>{self.title}</title><style>{STYLE}</style>\n'
            f'<rect class="card" width="{WIDTH}" height="{HEIGHT}" rx="8"/>\n{inside}\n</svg>\n'
        )


def workers() -> Picture:
    """One update, by one device and by four."""
    picture = Picture("One device takes the groups of a batch one after the other; four take them at once")
    picture.text(24, 36, "One global batch of 128 examples: 4 groups of 32 that share batch statistics")
    for group in range(4):
        picture.box(24 + group * 170, 50, 162, 40)
        picture.text(105 + group * 170, 75, f"group {group + 1}", anchor="middle")
    picture.text(24, 138, "1 device: 4 virtual workers, one after the other", "one")
    for group in range(4):
        picture.box(24 + group * 64, 152, 58, 36)
        picture.text(53 + group * 64, 175, f"{group + 1}", anchor="middle")
    picture.text(24, 236, "4 devices: one group each, at once", "two")
    for group in range(4):
        picture.box(24, 250 + group * 29, 58, 25)
        picture.text(53, 268 + group * 29, f"{group + 1}", anchor="middle")
    for y, words in ((170, "4 passes"), (308, "1 pass, and a sum over the network")):
        picture.text(300 if y == 170 else 100, y + 5, words, "soft")
    picture.box(470, 150, 226, 214)
    picture.text(583, 196, "mean of the 4 gradients", anchor="middle")
    picture.text(583, 226, "the same update", "three", "middle")
    picture.text(583, 256, "the same steps to the target", "three", "middle")
    picture.text(583, 300, "only the seconds of a step", anchor="middle")
    picture.text(583, 320, "differ", anchor="middle")
    picture.segment((372, 170), (462, 190), "axis")
    picture.segment((368, 308), (462, 290), "axis")
    return picture


def steps() -> Picture:
    """A law through trainings, and what it says beyond them."""
    picture = Picture("Steps to the target against the batch size, with the law", (16, 20_000), (500, 100_000))
    picture.axes("global batch size B", "steps to the target", (32, 128, 512, 2048, 8192), (1_000, 10_000, 100_000))
    rng = np.random.default_rng(3)
    sizes = np.repeat([32.0, 64, 128, 256, 512, 1024], 3)
    amounts = S_MIN * (1 + B_CRIT / sizes) * np.exp(0.07 * rng.standard_normal(len(sizes)))
    trainings = Trainings(batch_R=sizes, amount_R=amounts, reached_R=np.ones(len(sizes), bool))
    law = fit_steps_law(pool(trainings, "steps")[0], rng=np.random.default_rng(0))
    xs = np.geomspace(20, 16_384, 80)
    predicted = law.predict(xs)
    picture.band(xs, predicted.low, predicted.high, "one")
    picture.line(xs, predicted.value, "one")
    picture.line(xs, S_MIN * B_CRIT / xs, "two dash")
    picture.line(xs, np.full(len(xs), S_MIN), "three dash")
    for size, amount in zip(sizes, amounts, strict=True):
        picture.dot(size, amount, "one")
    bend = law.parameters["B_crit"]
    picture.segment((picture.x(bend), TOP), (picture.x(bend), HEIGHT - BOTTOM), "axis")
    picture.text(picture.x(bend) + 6, TOP + 14, f"B_crit = {bend:.0f}, fitted")
    picture.text(picture.x(36), picture.y(3_300), "twice the batch,", "two")
    picture.text(picture.x(36), picture.y(2_400), "half the steps", "two")
    picture.text(picture.x(18), picture.y(760), "S_min: no batch needs fewer", "three")
    picture.text(picture.x(1_900), picture.y(3_600), "90 % interval, wider", "one")
    picture.text(picture.x(1_900), picture.y(2_650), "beyond what was measured", "one")
    return picture


def valleys() -> Picture:
    """Steps against the learning rate at three batch sizes."""
    picture = Picture("Steps against the learning rate at three batch sizes", (0.01, 10), (1_000, 100_000))
    picture.axes("learning rate", "steps to the target", (0.01, 0.1, 1, 10), (1_000, 10_000, 100_000))
    places, floors = [], []
    for size, kind in ((32, "one"), (256, "two"), (2048, "three")):
        floor, place = S_MIN * (1 + B_CRIT / size), 1.2 / (1 + B_CRIT / size)
        xs = np.geomspace(0.011, 9, 200)
        picture.line(xs, floor * np.exp(np.minimum(0.9 * linex(np.log(xs / place), 3.0), 9.0)), kind)
        picture.dot(place, floor, kind)
        picture.text(picture.x(place), picture.y(floor) - 14, f"B = {size}", kind, "middle")
        places.append(place)
        floors.append(floor)
    sizes = np.geomspace(16, 16_384, 60)
    picture.line(1.2 / (1 + B_CRIT / sizes), S_MIN * (1 + B_CRIT / sizes), "axis dash")
    picture.text(picture.x(0.0125), picture.y(2_400), "half the rate, twice the steps", "soft")
    picture.text(picture.x(9.8), picture.y(20_000), "too large: diverges", "soft", "end")
    picture.text(picture.x(0.0125), picture.y(1_850), "dashed: the best of every batch size", "soft")
    return picture


def machine(bytes_per_second: float) -> StepTimeParameters:
    """A made-up cluster of one device a node."""
    values = {
        "fixed_seconds": 0.01, "seconds_an_example": 1.5e-3, "saturation": 1.0, "latency_seconds": 1e-5,
        "seconds_a_byte": 1 / bytes_per_second, "node_latency_seconds": 1e-5,
        "node_seconds_a_byte": 1 / bytes_per_second,
        "ring_share": 0.5, "contention": 1.0, "overlap": 1.5, "jitter": 0.03, "input_seconds_an_example": 2e-6,
    }  # fmt: skip
    return StepTimeParameters(**{name: np.array([[value]]) for name, value in values.items()})


def step() -> Picture:
    """What a step of one batch size consists of, against the workers that share it."""
    picture = Picture("Seconds of a step and its parts against the number of workers", (1, 1024), (0.005, 3))
    picture.axes(
        "workers N, which share a batch of 1,024 examples",
        "seconds of a step",
        (1, 4, 16, 64, 256, 1024),
        (0.01, 0.1, 1),
    )
    counts = np.geomspace(1, 1024, 100)
    parts = step_parts(machine(5e9), counts, 1024 / counts, GRADIENT_BYTES, None)
    picture.line(counts, 1.55 / counts, "axis dash")
    for values, kind in (
        (parts.compute_seconds[0], "one"), (parts.sync_seconds[0], "two"), (parts.seconds[0], "three"),
    ):  # fmt: skip
        many = counts >= (2 if kind == "two" else 1)  # one worker sums nothing
        picture.line(counts[many], values[many], kind)
    picture.text(picture.x(180), picture.y(0.06), "a step", "three")
    picture.text(picture.x(250), picture.y(0.0098), "compute", "one")
    picture.text(picture.x(2.1), picture.y(0.0145), "the sum of gradients: bytes, then latency", "two")
    picture.text(picture.x(9), picture.y(0.0075), "dashed: perfect sharing", "soft")
    return picture


def knee() -> Picture:
    """Time to target, the product, and where doubling the workers no longer pays."""
    picture = Picture("Time to the target against the number of workers, with the knee", (1, 1024), (10, 3_000))
    picture.axes("workers N", "seconds to the target", (1, 4, 16, 64, 256, 1024), (10, 100, 1_000))
    counts = 2.0 ** np.arange(11)
    batches = np.geomspace(32, 65_536, 300)
    draws = machine(5e9)

    def seconds(count: float, wanted: Callable[[float], np.ndarray]) -> float:
        sizes = wanted(count)
        parts = step_parts(draws, np.full(len(sizes), count), sizes / count, GRADIENT_BYTES, None)
        return float(np.min(S_MIN * (1 + B_CRIT / sizes) * parts.seconds[0]))

    best = np.array([seconds(count, lambda count: batches[batches >= count]) for count in counts])
    fixed = np.array([seconds(count, lambda _: np.array([256.0])) for count in counts[:9]])
    weak = np.array([seconds(count, lambda count: np.array([32 * count])) for count in counts])
    picture.line(counts, best[0] / counts, "axis dash")
    picture.line(counts[:9], fixed, "two")
    picture.line(counts, weak, "three")
    picture.line(counts, best, "one")
    for count, time in zip(counts, best, strict=True):
        picture.dot(count, time, "one")
    at = next(i for i in range(10) if best[i] / best[i + 1] < 2**KNEE_GAIN)
    place = picture.x(counts[at])
    picture.segment((place, TOP), (place, HEIGHT - BOTTOM), "axis")
    picture.text(place + 6, TOP + 14, f"the knee, {counts[at]:.0f} workers: twice as many")
    picture.text(place + 6, TOP + 32, "take less than a third off the time")
    picture.text(picture.x(36), picture.y(1_100), "dashed: N times as fast", "soft")
    picture.text(picture.x(36), picture.y(750), "blue: the best batch size for each N", "one")
    picture.text(picture.x(36), picture.y(510), "orange: 256 examples shared by all", "two")
    picture.text(picture.x(36), picture.y(345), "green: 32 examples each", "three")
    return picture


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, draw in {
        "virtual-workers": workers, "steps": steps, "learning-rate": valleys, "step-time": step, "knee": knee,
    }.items():  # fmt: skip
        (folder / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
