"""The ledger is an Optuna journal: optuna-dashboard opens it and shows what was recorded."""

import io
import json
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna_dashboard import wsgi

from largebatch.spaces.domain import Choice, Range
from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space
from largebatch.spaces.trial import Ending, Measurement, Outcome
from largebatch.studies.record.ledger import Ledger


def ask(app: Any, path: str) -> Any:
    """GET ``path`` of a web application without a server."""
    answers = []
    environment = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "here", "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http",
    }  # fmt: skip
    body = b"".join(app(environment, lambda status, headers, problem=None: answers.append(status)))
    assert answers == ["200 OK"], body
    return json.loads(body)


def test_ledger_opens_in_optuna_dashboard(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.log", "small", create=True)
    space = Space(
        root={"global_batch_size": Choice(choices=(32, 64)), "learning_rate": Range(low=0.01, high=1, scale="log")}
    )
    for size, rate in ((32, 0.1), (64, 0.2)):
        trial = ledger.create(space, Recipe(global_batch_size=size, learning_rate=rate), num_devices=1, owner="me")
        point = Measurement(step=5, examples=5 * size, seconds=0.5, values={"val_loss": 0.4})
        ledger.measure(trial.number, point, "val_loss")
    ledger.end(
        0, Ending(outcome=Outcome.REACHED, step=9, examples=288, seconds=1.0, steps_to_target=8.5)
    )  # fmt: skip
    app = wsgi(JournalStorage(JournalFileBackend(str(tmp_path / "ledger.log"))))
    (study,) = ask(app, "/api/studies")["study_summaries"]
    assert study["study_name"] == "small"
    trials = ask(app, f"/api/studies/{study['study_id']}")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Running"]
    assert trials[0]["values"] == [8.5 * 32]
    assert {one["name"] for one in trials[1]["params"]} == {"global_batch_size", "learning_rate"}
    assert trials[1]["intermediate_values"] == [{"step": 320, "value": 0.4}]
