"""What ``doctor`` found, as a table and the lines that mend it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from largebatch.studies.checks.machine.finding import Finding

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def print_findings(host: str, findings: Sequence[Finding]) -> None:
    """All findings, then what to do; a line that mends stays one line, so that it can be copied."""
    console = Console(highlight=False)
    table = Table(header_style="dim", box=None, padding=(0, 1, 0, 0), title=None)
    for heading in ("", "check", "measured"):
        table.add_column(heading, no_wrap=heading == "", overflow="fold")
    for finding in findings:
        table.add_row(Text(finding.level, _STYLES[finding.level]), Text(finding.name), Text(finding.measured))
    console.print(table)
    to_mend = [finding for finding in findings if finding.level != "ok"]
    if to_mend:
        console.print("\nTo mend:")
    for finding in sorted(to_mend, key=lambda finding: finding.level):  # problems first
        console.print(Text(f"  {finding.name}:"), Text(finding.mend), soft_wrap=True)
    counts = ", ".join(_count(findings, level) for level in ("problem", "warning"))
    console.print(f"\n{host}: {len(findings)} checks, {counts}", soft_wrap=True)


def _count(findings: Sequence[Finding], level: str) -> str:
    number = sum(finding.level == level for finding in findings)
    return f"{number} {level}{'' if number == 1 else 's'}"
