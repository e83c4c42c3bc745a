"""From names in a study file to searchers and trial schedulers; each is imported only where it is asked for."""

from typing import TYPE_CHECKING

from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.step_time_profile import StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.studies.study import Study

if TYPE_CHECKING:
    from largebatch.schedulers.scheduler import Scheduler
    from largebatch.search.searcher import Searcher

GRACE_SHARE, PROJECTION_GRACE_SHARE = 9, 50
"""Unless the study says otherwise, no trial is stopped before this share of the examples at which it would give up; a
projection is the vaguer the earlier, so it may decide early."""


def needs_step_seconds(study: Study) -> bool:
    """Whether the study weighs trials by the plan, so that steps are timed before the trials."""
    return study.search.name == "guided" or study.scheduler.name == "projection" or study.repeats > 1


def make_step_seconds(study: Study, profile: StepTimeProfile | None) -> StepSeconds | None:
    """Seconds of a step at the study's worker counts, where they were timed."""
    if profile is None:
        return None
    from largebatch.search.planned_seconds import planned_seconds

    return planned_seconds(profile, study.workers, min(norm for _, norm in study.space.batches))


def make_searcher(study: Study, target: Target, max_examples: int, seconds: StepSeconds | None) -> "Searcher":
    """The study's searcher; ``max_examples`` is where a trial gives up."""
    name = study.search.name
    if name == "guided":
        from largebatch.search.guided.guided import Guided

        assert seconds is not None, "steps are timed before a guided study"
        return Guided(target, seconds, max_examples)
    if name == "grid":
        from largebatch.search.samplers.grid import Grid

        return Grid(study.search.points_per_range)
    if name == "halton":
        from largebatch.search.samplers.halton import Halton

        return Halton()
    rule = study.search.learning_rate_rule
    if name == "optuna-gp":
        from largebatch.search.samplers.gaussian_process import OptunaGP

        return OptunaGP(target, rule)
    if name == "optuna-cmaes":
        from largebatch.search.samplers.cma_es import CmaEs

        return CmaEs(target, rule)
    if name == "deephyper-cbo":
        from largebatch.search.samplers.deephyper_cbo import DeepHyperCBO

        return DeepHyperCBO(target, rule)
    from largebatch.search.samplers.tpe import OptunaTPE

    return OptunaTPE(target, rule)


def make_scheduler(study: Study, target: Target, max_examples: int, seconds: StepSeconds | None) -> "Scheduler":
    """The study's trial scheduler."""
    name = study.scheduler.name
    if name == "none":
        from largebatch.schedulers.scheduler import NoScheduler

        return NoScheduler()
    if name == "projection":
        from largebatch.schedulers.projection import Projection

        assert seconds is not None, "steps are timed before a study with projections"
        return Projection(target, seconds, study.scheduler.grace_examples or max_examples // PROJECTION_GRACE_SHARE)
    from largebatch.schedulers.asha import Asha

    return Asha(
        target=target,
        grace_examples=study.scheduler.grace_examples or max(1, max_examples // GRACE_SHARE),
        reduction_factor=study.scheduler.reduction_factor,
        max_examples=max_examples,
    )
