"""What a ledger costs in a file and in a database: milliseconds of each act of an owner, in a study that grows.

    python benchmarks/ledger_places.py sqlite:////tmp/studies.db postgresql://me@localhost/studies

Each place gets a study of 100 trials with 20 measurements each; acts are timed in turn, place by place, so that what
else the machine does falls on all alike. Printed are median and 90 % quantile.
"""

import secrets
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Ending, Measurement, Outcome
from largebatch.studies.record.database.database import Database
from largebatch.studies.record.ledger import Ledger

TRIALS, MEASUREMENTS = 100, 20
SPACE = Space.model_validate(
    {"global_batch_size": {"choices": [32, 64]}, "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"}}
)
RECIPE = Recipe(global_batch_size=64, learning_rate=0.3)
ENDING = Ending(outcome=Outcome.REACHED, step=90, examples=5760, seconds=9.0, steps_to_target=85.0)


def _read(place: Path | Database, name: str) -> None:
    Ledger(place, name, create=False).trials()


def main() -> None:
    took: dict[tuple[str, str], list[float]] = defaultdict(list)

    def timed(place: str, act: str, do: Callable[..., object], *arguments: object, **named: object) -> None:
        began = time.perf_counter()
        do(*arguments, **named)
        took[act, place].append(1000 * (time.perf_counter() - began))

    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        places: dict[str, Path | Database] = {"file": Path(folder) / "ledger.log"}
        places |= {url.partition(":")[0]: Database.named(url, Path.cwd()) for url in sys.argv[1:]}
        name = f"benchmark-{secrets.token_hex(4)}"
        ledgers = {what: Ledger(place, name, create=True) for what, place in places.items()}
        for number in range(TRIALS):
            for what, ledger in ledgers.items():
                timed(what, "create", ledger.create, SPACE, RECIPE, num_devices=1, owner="me")
            for step in range(1, MEASUREMENTS + 1):
                point = Measurement(step=step, examples=64 * step, seconds=step, values={"loss": 1 / step})
                for what, ledger in ledgers.items():
                    timed(what, "measure", ledger.measure, number, point, "loss")
                    timed(what, "read back", ledger.trials)
            for what, ledger in ledgers.items():
                timed(what, "end", ledger.end, number, ENDING)
        for what, place in places.items():
            timed(what, "open and read all", _read, place, name)
    for (act, what), milliseconds in sorted(took.items()):
        many = len(milliseconds) > 1
        last = f"{statistics.quantiles(milliseconds, n=10)[-1]:9.2f}" if many else ""
        print(f"{act:18} {what:11} {statistics.median(milliseconds):9.2f} {last} ms")


if __name__ == "__main__":
    main()
