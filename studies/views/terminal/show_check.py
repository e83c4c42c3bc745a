"""What ``check`` finds, as lines, each as soon as it is known."""

from rich.console import Console

from largebatch.studies.answer.best_trials import format_seconds
from largebatch.studies.checks.check_cost import StudyCost
from largebatch.studies.checks.check_study import Checked
from largebatch.trainers.task_checks.finding import Finding

_MARKS = {True: "[green]pass[/]", False: "[red]FAIL[/]", None: "[yellow]skip[/]"}


def print_line(line: Finding | str) -> None:
    """A finding, with what it compared and its way out below; or a note. Pipes get it at once, too."""
    console = Console(highlight=False, soft_wrap=True)  # writes and flushes
    if isinstance(line, str):
        console.print(f"note  {_plain(line)}")
        return
    state = "not compared, " if line.passed is None else ""
    console.print(f"{_MARKS[line.passed]}  {_plain(line.name)}: {state}{_plain(line.found)}")
    if line.compared:
        console.print(f"      [dim]compared: {_plain(line.compared)}[/]")
    if line.way_out:
        console.print(f"      way out: {_plain(line.way_out)}")


def print_cost(checked: Checked) -> None:
    """What a study would cost, and how many checks passed."""
    console = Console(highlight=False, soft_wrap=True)
    if checked.cost is not None:
        for line in _cost(checked.cost):
            console.print(f"cost  {_plain(line)}")
    skipped, failed = checked.num_not_compared, checked.num_failed
    passed = len(checked.findings) - skipped - failed
    console.print(f"{passed} passed, {failed} failed, {skipped} not compared (which proves nothing)")


def _cost(cost: StudyCost) -> list[str]:
    small, large = (
        f"{1 / seconds:,.0f} examples/s at batch {size}"
        for seconds, size in zip(cost.example_seconds, cost.batch_sizes, strict=True)
    )
    low, high = (format_seconds(seconds) for seconds in sorted(cost.trial_seconds))
    trials = f"{cost.trials} trials" if cost.trials else "all trials"
    whole = format_seconds(cost.study_seconds)
    return [
        f"a device like this trains {small} and {large}; an evaluation takes {format_seconds(cost.evaluation_seconds)}",
        f"a trial of {cost.examples_per_trial:,} examples: {low} to {high}; less where it ends early",
        f"the study, {trials}: at most {whole} of one device; shorter by as many trials as run at once",
        f"a trial's checkpoints: {cost.checkpoint_bytes / 1e6:,.1f} MB",
    ]


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
