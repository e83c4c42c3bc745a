"""A study that is right, for tests that change one of its values."""

from typing import Any

from largebatch.studies.question.study import Study


def make_study(**changes: Any) -> Study:
    """A study of five trials of the task ``digits``; ``changes`` replace its values, as a study file has them."""
    plain = {
        "name": "made-up",
        "task": "digits",
        "workers": [1, 8],
        "space": {
            "global_batch_size": {"low": 32, "high": 256, "scale": "log2"},
            "learning_rate": {"low": 1e-4, "high": 1.0, "scale": "log"},
        },
        "budget": {"trials": 5},
    }
    return Study.model_validate(plain | changes)
