"""The Tune trial. In a file of its own: its actor imports this module, and torch would cost it seconds."""

from collections.abc import Mapping
from typing import Any

import ray
from ray import tune

from largebatch.trainers.workers.mailbox import Event, Job


class RelayTrial(tune.Trainable):  # type: ignore[misc]
    """A Tune trial: submits its job, returns each event as a result. Reused for trial after trial."""

    def setup(self, config: dict[str, Any], mailbox: Any = None) -> None:
        """Submit the first job."""
        self._mailbox = mailbox
        self._submit(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Submit the next job."""
        self._submit(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Wait for the next event."""
        event = Event(measurements=(), ending=None)
        while not event.measurements and event.ending is None:
            event = ray.get(self._mailbox.next_event.remote(self._number))
        return {"event": event, "done": event.ending is not None}

    def _submit(self, config: Mapping[str, Any]) -> None:
        job = Job(**config["job"])
        self._number = job.number
        ray.get(self._mailbox.submit.remote(job))
