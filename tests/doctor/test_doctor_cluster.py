"""``doctor --address``: a small real Ray of two nodes; then what nodes might say that do not agree."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from largebatch.studies.checks.machine.cluster import cluster_findings, judged


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o600)
    program = [sys.executable, str(Path(__file__).with_name("two_nodes.py")), str(token)]
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nodes,
    ):
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
        assert nodes.stdout is not None
        yield nodes.stdout.readline().strip()
        nodes.communicate("")
        assert nodes.returncode == 0


@pytest.mark.slow
def test_a_real_cluster_agrees_with_itself(address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "largebatch", "doctor", "--json", "--address", address]
    done = subprocess.run([*command, "--directory", tmp_path], capture_output=True, text=True, check=False)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["cluster"]["measured"].startswith("2 of 2 nodes answer"), findings["cluster"]
    for name in ("clocks", "same software", "same directory", "same locks"):
        assert findings[name]["level"] == "ok", findings[name]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_address_where_nobody_answers_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("largebatch.studies.checks.machine.cluster._CONNECT_SECONDS", 6.0)
    (finding,) = cluster_findings("127.0.0.1:9", tmp_path)
    assert (finding.name, finding.level) == ("cluster", "problem")
    assert "127.0.0.1:9" in finding.measured


def node(host: str, **other: Any) -> dict[str, Any]:
    said = {"address": "10.0.0.1", "host": host, "python": "3.11.7", "largebatch": "0.1.0", "torch": "2.13.0"}
    said |= {"ray": "2.60.0", "numpy": "2.4.6", "code": "12345678", "skew_seconds": 0.001, "skew_error_seconds": 0.001}
    return said | {"seen_after_seconds": 0.0, "lock_reaches": True} | other


@pytest.mark.parametrize(
    ("second", "name", "level", "said"),
    [
        (node("n2", skew_seconds=-3.0), "clocks", "warning", "3.000 s apart at most (on n2"),
        (node("n2", skew_seconds=40.0), "clocks", "problem", "40.000 s"),
        (node("n2", torch="2.6.0"), "same software", "problem", "torch: 2.13.0 on n1, 2.6.0 on n2"),
        (node("n2", code="87654321"), "same software", "problem", "the files of largebatch: 12345678 on n1"),
        (node("n2", largebatch=None), "same software", "problem", "none on n2"),
        (
            node("n2", seen_after_seconds=None, lock_reaches=None),
            "same directory",
            "problem",
            "not the same folder on n2",
        ),
        (node("n2", seen_after_seconds=7.0), "same directory", "warning", "7.00 s"),
        (node("n2", lock_reaches=False), "same locks", "warning", "does not keep n2 out"),
        ({"address": "10.0.0.2", "error": "it died"}, "cluster", "problem", "10.0.0.2: it died"),
    ],
)
def test_nodes_that_differ(second: dict[str, Any], name: str, level: str, said: str) -> None:
    found = {finding.name: finding for finding in judged([node("n1"), second], Path("/shared"))}
    assert found[name].level == level
    assert said in found[name].measured
    assert found[name].mend
    assert all(finding.level == "ok" for finding in found.values() if finding.name != name)


def test_nodes_that_agree() -> None:
    assert {finding.level for finding in judged([node("n1"), node("n2")], Path(os.sep))} == {"ok"}
