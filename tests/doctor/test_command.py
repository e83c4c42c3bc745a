"""``largebatch doctor`` as a user meets it: the table, JSON, exit codes, checks that hang or fail."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from largebatch.studies.checks.machine import examination
from largebatch.studies.checks.machine.examination import checks, run_checks
from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning
from largebatch.studies.views.terminal.show_doctor import print_findings


def doctor(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    command = [sys.executable, "-m", "largebatch", "doctor", *options]
    given = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "x", **environment}
    return subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=200)


def test_all_checks_and_a_problem_among_them(tmp_path: Path) -> None:
    long = tmp_path / ("a" * 60)
    long.mkdir()
    done = doctor(tmp_path, "--json", TMPDIR=str(long))
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    findings = {finding["name"]: finding for finding in said["findings"]}
    assert list(findings) == list(checks(tmp_path))
    assert findings["temporary files"]["level"] == "problem"
    assert said["problems"] == sum(finding["level"] == "problem" for finding in findings.values())
    for name in ("Python", "imports", "Ray", "locks", "renaming"):
        assert findings[name]["level"] == "ok", findings[name]
    for finding in findings.values():
        assert bool(finding["mend"]) == (finding["level"] != "ok"), finding
    assert [path.name for path in tmp_path.iterdir()] == [long.name]


def test_a_folder_to_come_is_tried_above_and_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = doctor(tmp_path, "--directory", str(file / "runs"))
    assert done.returncode == 2
    assert "is a file" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_check_hangs_or_crashes() -> None:
    never = threading.Event()

    def hang() -> Finding:
        never.wait()
        return ok("hangs", "")

    def crash() -> Finding:
        raise PermissionError(13, "Permission denied")

    hanging, crashing, well = run_checks({"hangs": hang, "crashes": crash, "well": lambda: ok("well", "1")}, 0.3)
    never.set()
    assert (hanging.level, hanging.name) == ("problem", "hangs")
    assert "no answer" in hanging.measured
    assert "Permission denied" in crashing.measured
    assert well == ok("well", "1")


FINDINGS = [
    ok("locks", "/scratch/user/runs: flock holds between two processes"),
    warning("host name", "[vm] is 127.0.0.1", "echo '10.0.0.1 vm' | sudo tee -a /etc/hosts   # as the site"),
    problem("temporary files", "/lustre/" + "a" * 80, "export TMPDIR=/tmp"),
]


@pytest.mark.parametrize(("columns", "terminal"), [("200", "xterm"), ("80", "dumb"), ("30", "xterm")])
def test_every_terminal(
    columns: str, terminal: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", terminal)
    print_findings("vm", FINDINGS)
    printed = capsys.readouterr().out
    assert "[vm] is" in printed
    assert "  host name: echo '10.0.0.1 vm' | sudo tee -a /etc/hosts   # as the site\n" in printed
    assert printed.index("temporary files: export") < printed.index("host name: echo")
    assert printed.endswith("vm: 3 checks, 1 problem, 1 warning\n")
    table = printed.split("\nTo mend")[0]
    assert all(len(line) <= int(columns) for line in table.splitlines())


def test_each_finding_has_the_name_of_its_check(tmp_path: Path) -> None:
    light = {name: check for name, check in checks(tmp_path).items() if name not in examination._IMPORTING}
    for name, check in light.items():
        assert check().name == name
