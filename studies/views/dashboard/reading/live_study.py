"""One study directory, followed while another process writes it."""

import threading
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import replace
from pathlib import Path

import yaml

from largebatch.search.laws.fit_laws import fit_laws
from largebatch.search.laws.step_time.interconnects import Network
from largebatch.search.plan.make_plan import make_plan
from largebatch.search.plan.plan import Plan
from largebatch.spaces.errors import UserError
from largebatch.spaces.printable import printable
from largebatch.studies.answer.answer import measured_noise_scales
from largebatch.studies.record.curve_reader import CurveReader, Series
from largebatch.studies.record.database.database_reader import DatabaseReader
from largebatch.studies.record.directory import StudyDirectory, later_version_told
from largebatch.studies.record.lease.lease_monitor import LeaseWatch
from largebatch.studies.record.ledger_follower import LedgerReader
from largebatch.studies.record.open_ledger import follow_ledger
from largebatch.studies.views.dashboard.reading.snapshot import Fit, Snapshot, State

FIT_PATIENCE_SECONDS = 1.0
"""How long a page waits for laws that were never fitted; later ones replace the known ones when they are there."""
_BROKEN = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, yaml.YAMLError)
"""What reading a directory that somebody wrote by hand, or that is half removed, may raise."""


class LiveStudy:
    """One thread calls ``refresh``; any may read ``snapshot``, ``curve``, ``fit`` and ``plan``."""

    def __init__(self, path: Path, key: str, executor: Executor) -> None:
        self.directory = StudyDirectory(path)
        self._executor = executor
        self._reader: LedgerReader | DatabaseReader | None = None
        self._lease = LeaseWatch(path)
        self._curves, self._curves_lock = CurveReader(self.directory.curves), threading.Lock()
        self._fits: dict[Network, Fit] = {}
        self._fitting: dict[Network, Future[None]] = {}
        self._fits_lock = threading.Lock()
        self.snapshot = Snapshot(key=key, path=path, study=None, target=None)
        self.version = 0
        """Grows with everything that a page may show."""
        self._opened: tuple[int, int] | None = None
        try:
            self._open()
        except _BROKEN as error:
            self._tell(error)

    def refresh(self) -> None:
        """Read what is new in the directory."""
        try:
            with later_version_told(self.directory.path):
                self._open()
                self._read()
        except _BROKEN as error:
            self._tell(error)

    def _open(self) -> None:
        """Read the frozen study, again where another one has taken its place (``run --fresh``).

        The ledger is read anew where a coordinator has put a copy in its place, for that may lack a last line.
        """
        opened = (self.directory.study_file.stat().st_mtime_ns, self.directory.begun)
        if opened == self._opened:
            return
        study = self.directory.study()
        target = self.directory.target()
        self._show(Snapshot(key=self.snapshot.key, path=self.snapshot.path, study=study, target=target))
        self._reader, self._fits, self._opened = follow_ledger(self.directory, study), {}, opened

    def _read(self) -> None:
        if self._reader is None or not self.directory.begun:
            self._show(replace(self.snapshot, state=self._state(), problem=None))
            return
        for fraction in self._reader.read():
            if fraction < 1:
                self._show(replace(self.snapshot, read_fraction=fraction))
        self._show(
            replace(
                self.snapshot, trials=self._reader.trials(), requests=self._reader.requests(),
                elapsed_seconds=self._reader.elapsed_seconds(), state=self._state(), read_fraction=1.0, problem=None,
            )
        )  # fmt: skip

    def _tell(self, error: Exception) -> None:
        words = str(error) if isinstance(error, UserError) else printable(f"{type(error).__name__}: {error}")
        self._show(replace(self.snapshot, problem=words, read_fraction=1.0, state=self._state()))

    def _show(self, snapshot: Snapshot) -> None:
        if snapshot != self.snapshot:
            self.snapshot = snapshot
            self.version += 1

    def _state(self) -> State:
        """Whether a coordinator holds the lease."""
        try:
            if self._lease.look() is not None:
                return "running"
        except (OSError, UserError):
            return "not running"
        return "interrupted" if self._lease.died else "not running"

    def curve(self, number: int) -> Mapping[str, Series]:
        """What trial ``number`` recorded as it trained, by name."""
        with self._curves_lock:
            return self._curves.curve(number)

    def fit(self, network: Network) -> Fit | None:
        """The latest laws; those of trials that ended since are fitted meanwhile. None where that takes long."""
        ended = sum(trial.ending is not None for trial in self.snapshot.steady)
        with self._fits_lock:
            known = self._fits.get(network)
            if known is not None and known.num_ended == ended and (known.profile is None) == (not self._has_profile()):
                return known
            future = self._fitting.get(network)
            if future is None or future.done():
                future = self._fitting[network] = self._executor.submit(self._fit, network)
        if known is None:
            try:
                future.result(timeout=FIT_PATIENCE_SECONDS)
            except NotYet:
                return None
        return self._fits.get(network)

    def _has_profile(self) -> bool:
        return self.directory.profile_file.exists()

    def _fit(self, network: Network) -> None:
        trials = self.snapshot.steady
        fit = Fit(
            network=network, num_ended=sum(trial.ending is not None for trial in trials), trials=trials, profile=None
        )
        try:
            fit = replace(fit, profile=self.directory.profile())
            scales = measured_noise_scales(self.directory, trials)
            fit = replace(fit, laws=fit_laws(trials, fit.profile, noise_scales=scales, network=network))
        except _BROKEN as error:
            fit = replace(fit, problem=printable(str(error)))
        self._fits[network] = fit
        self.version += 1

    def plan(
        self, fit: Fit, *, device_hour_cost: float | None = None, seconds_allowed: float | None = None
    ) -> Plan | str:
        """The plan by some laws, or why there is none."""
        study = self.snapshot.study
        if fit.laws is None or study is None:
            return fit.problem or "There is no plan yet."
        try:
            return make_plan(
                study=study.name, target=str(self.snapshot.target), trials=fit.trials, laws=fit.laws,
                workers=study.workers, profile=fit.profile, device_hour_cost=device_hour_cost,
                seconds_allowed=seconds_allowed,
            )  # fmt: skip
        except UserError as mistake:
            return str(mistake)
