"""From names in a study file to searchers and trial schedulers; each is imported only where it is asked for."""

from typing import TYPE_CHECKING

from largebatch.spaces.step_seconds import StepSeconds
from largebatch.spaces.step_times import StepTimeProfile
from largebatch.spaces.target import Target
from largebatch.studies.question.study import Study

if TYPE_CHECKING:
    from largebatch.schedulers.trial.scheduler import Scheduler
    from largebatch.search.searcher import Searcher

PROJECTION_GRACE_SHARE, PERTURBATION_SHARE = 50, 8
"""Shares of the examples at which a trial would give up, unless the study says otherwise: before the first no
projection stops a trial (a projection is the vaguer the earlier, so it may decide early), and after each such share a
population is perturbed."""


def needs_step_seconds(study: Study) -> bool:
    """Whether the study weighs trials by the plan, so that steps are timed before the trials."""
    return study.search.name == "guided" or study.scheduler.name == "projection" or study.repeats > 1


def make_step_seconds(study: Study, profile: StepTimeProfile | None) -> StepSeconds | None:
    """Seconds of a step at the study's worker counts, where they were timed."""
    if profile is None:
        return None
    from largebatch.search.plan.planned_step_times import planned_seconds

    batches = study.space.batches
    if profile.has_batch_statistics is False:
        batches = tuple((size, 1) for size, _ in batches)
    most_groups = max(size // min(norm, size) for size, norm in batches)
    return planned_seconds(profile, study.workers, min(norm for _, norm in batches), most_groups)


def make_searcher(study: Study, target: Target, max_examples: int, seconds: StepSeconds | None) -> "Searcher":
    """The study's searcher; ``max_examples`` is where a trial gives up."""
    name = study.search.name
    if name == "guided":
        from largebatch.search.searchers.guided.guided import Guided

        assert seconds is not None, "steps are timed before a guided study"
        return Guided(target, seconds, max_examples)
    if name == "grid":
        from largebatch.search.searchers.grid import Grid

        return Grid(study.search.points_per_range)
    if name == "halton":
        from largebatch.search.searchers.halton import Halton

        return Halton()
    rule = study.search.learning_rate_rule
    if name == "optuna-gp":
        from largebatch.search.searchers.gp import OptunaGP

        return OptunaGP(target, rule)
    if name == "optuna-cmaes":
        from largebatch.search.searchers.cma_es import CmaEs

        return CmaEs(target, rule)
    if name == "deephyper-cbo":
        from largebatch.search.searchers.cbo import DeepHyperCBO

        return DeepHyperCBO(target, rule)
    from largebatch.search.searchers.tpe import OptunaTPE

    return OptunaTPE(target, rule)


def make_scheduler(study: Study, target: Target, max_examples: int, seconds: StepSeconds | None) -> "Scheduler":
    """The study's trial scheduler."""
    options, seed = study.scheduler, study.search.seed
    grace_examples = options.grace_examples or max(1, max_examples // options.reduction_factor**2)
    match options.name:
        case "none":
            from largebatch.schedulers.trial.scheduler import NoScheduler

            return NoScheduler()
        case "projection":
            from largebatch.schedulers.trial.projection import Projection

            assert seconds is not None, "steps are timed before a study with projections"
            return Projection(target, seconds, options.grace_examples or max_examples // PROJECTION_GRACE_SHARE)
        case "asha":
            from largebatch.schedulers.trial.asha import Asha

            return Asha(
                target=target, grace_examples=grace_examples, reduction_factor=options.reduction_factor,
                max_examples=max_examples,
            )  # fmt: skip
        case "hyperband":
            from largebatch.schedulers.trial.hyperband import Hyperband

            return Hyperband(
                target=target, grace_examples=grace_examples, reduction_factor=options.reduction_factor,
                max_examples=max_examples, seed=seed,
            )  # fmt: skip
        case "median":
            from largebatch.schedulers.trial.median import Median

            return Median(target=target, grace_examples=grace_examples, min_samples=options.min_samples)
        case "pbt":
            from largebatch.schedulers.trial.pbt import Pbt

            return Pbt(
                target=target, space=study.space, seed=seed, max_examples=max_examples,
                perturbation_examples=options.perturbation_examples or max(1, max_examples // PERTURBATION_SHARE),
            )  # fmt: skip
    raise AssertionError(options.name)
