"""What ``check`` found, as lines."""

from rich.console import Console

from largebatch.studies.check import Checked, StudyCost
from largebatch.studies.report.answer import format_seconds


def print_check(checked: Checked) -> None:
    """One line a finding, its way out below where it failed; then what a study would cost."""
    console = Console(highlight=False, soft_wrap=True)
    for finding in checked.findings:
        mark = "[green]pass[/]" if finding.passed else "[red]FAIL[/]"
        console.print(f"{mark}  {_plain(finding.name)}: {_plain(finding.found)}")
        if finding.way_out:
            console.print(f"      way out: {_plain(finding.way_out)}")
    for note in checked.notes:
        console.print(f"note  {_plain(note)}")
    if checked.cost is not None:
        for line in _cost(checked.cost):
            console.print(f"cost  {_plain(line)}")


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
