"""The files of docs/environments say what pyproject.toml says, and name what is there."""

import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / "docs" / "environments"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IN_CONDA = {"torch": "pytorch"}
"""Packages that conda-forge has under another name."""


def asked() -> Iterator[Requirement]:
    """All requirements, those of extras too."""
    for line in [
        *PROJECT["dependencies"],
        *(one for extra in PROJECT["optional-dependencies"].values() for one in extra),
    ]:
        yield Requirement(line)


def constrained() -> dict[str, str]:
    lines = (ENVIRONMENTS / "constraints.txt").read_text().split()
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_constraints_lie_within_the_bounds() -> None:
    versions = constrained()
    for requirement in asked():
        version = versions.get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version), f"{requirement}: {version}"


def test_constraints_name_all_that_is_needed_and_no_build_of_one_machine() -> None:
    versions = constrained()
    needed = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert needed <= versions.keys()
    assert "largebatch" not in versions
    assert not [version for version in versions.values() if "+" in version]
    cpu = re.search(r"^torch==(\S+)", (ROOT / "docs" / "constraints-cpu.txt").read_text(), flags=re.MULTILINE)
    assert cpu is not None
    assert versions["torch"] == cpu[1]


def test_conda_asks_for_the_same() -> None:
    environment = yaml.safe_load((ENVIRONMENTS / "environment.yml").read_text())
    *names, pip = environment["dependencies"]
    assert (ENVIRONMENTS / pip["pip"][0]).resolve() == ROOT
    ours = {IN_CONDA.get(one.name, one.name): one.specifier for one in map(Requirement, PROJECT["dependencies"])}
    for requirement in map(Requirement, names):
        if requirement.name == "python":
            assert SpecifierSet(PROJECT["requires-python"]).contains("3.11")
            assert str(requirement.specifier).startswith(("<", PROJECT["requires-python"]))
            assert requirement.specifier.contains("3.11")
            assert not requirement.specifier.contains("3.10")
        elif requirement.name != "pip":
            assert requirement.specifier == ours[requirement.name], requirement


@pytest.mark.parametrize("name", ["largebatch.def", "Containerfile"])
def test_images_copy_all_of_the_package(name: str) -> None:
    text = (ENVIRONMENTS / name).read_text()
    folders = {one.name for one in ROOT.iterdir() if (one / "__init__.py").exists()}
    assert "search" in folders
    files = {
        "pyproject.toml",
        "setup.py",
        PROJECT["readme"],
        *PROJECT["license-files"],
        "docs/environments/constraints.txt",
    }
    steps = [line.split() for line in text.splitlines() if not line.startswith("#")]
    copied = {word for words in steps if "/src" in " ".join(words[1:]) for word in words}
    for one in folders | files:
        assert (ROOT / one).exists()
        assert one in copied, one


def test_an_image_is_of_a_python_that_is_supported() -> None:
    for name in ("largebatch.def", "Containerfile"):
        found = re.search(r"python:(\d+\.\d+)-", (ENVIRONMENTS / name).read_text())
        assert found is not None
        assert SpecifierSet(PROJECT["requires-python"]).contains(found[1])


def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ENVIRONMENTS / name))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MIT", "permissive"),
        ("GPL-3.0-or-later", "strong"),
        ("GNU General Public License v3 (GPLv3)", "strong"),
        ("GNU Affero General Public License v3", "strong"),
        ("AGPL-3.0-only", "strong"),
        ("LGPL-2.1-or-later", "weak"),
        ("GNU Lesser General Public License v3 or later (LGPLv3+)", "weak"),
        ("MPL-2.0 AND MIT", "weak"),
        ("GPL-2.0-only OR MIT", "permissive"),
        ("Public Domain, BSD, GNU General Public License (GPL)", "strong"),
        ("not stated", "unknown"),
    ],
)
def test_a_licence_that_does_not_go_with_ours_is_seen(text: str, kind: str) -> None:
    assert script("audit.py")["kind"](text) == kind


def test_what_we_require_is_found_with_who_asks_for_it() -> None:
    asked_by, missing = script("audit.py")["brought"](("",))
    assert missing == set()
    assert {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} <= asked_by.keys()
    assert asked_by["torch"] == "largebatch"
    assert asked_by["mpmath"] == "sympy", "required by what torch requires"


def test_an_audit_says_what_it_found_and_what_it_could_not_ask() -> None:
    flaw = {"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": [], "description": ""}
    answer = [
        {"name": "old", "version": "1.0", "vulns": [flaw]},
        {"name": "new", "version": "1.0", "vulns": []},
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI"},
        {"name": "largebatch", "skip_reason": "Dependency not found on PyPI"},
    ]
    assert list(script("audit.py")["vulnerabilities"](answer)) == [
        "NOT AUDITED: 1 of 3 packages, of which the service said nothing (unknown)",
        "VULNERABLE: old 1.0: PYSEC-1, fixed in 2.0",
        "vulnerabilities: 1 known in 2 packages that were audited",
    ]


KNOWN = {
    "fix": [{"package": "one", "id": "CVE-1", "fixed": "2.5", "source": "there"}],
    "malicious": [{"packages": ["one"], "id": "GHSA-1", "versions": ["3.1", "3.2"], "source": "there"}],
}


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("one>=2.4,!=3.1,!=3.2", ["FLOOR BELOW A FIX: one!=3.1,!=3.2,>=2.4: CVE-1, fixed in 2.5 (there)"]),
        ("One[extra]>=2.5,!=3.1,!=3.2; extra == 'some'", []),
        ("one>=2.10,!=3.1", ["MALICIOUS RELEASE ALLOWED: one 3.2: GHSA-1 (there)"]),
        ("one==3.1", ["MALICIOUS RELEASE ALLOWED: one 3.1: GHSA-1 (there)"]),
        ("one!=3.1,!=3.2", ["FLOOR BELOW A FIX: one!=3.1,!=3.2: CVE-1, fixed in 2.5 (there)"]),
        ("other>=1", []),
    ],
)
def test_an_audit_says_where_a_bound_lies_below_a_fix(requirement: str, said: list[str]) -> None:
    assert list(script("audit.py")["below_fixes"]([requirement], KNOWN)) == said


def test_no_bound_lets_in_a_malicious_release_and_no_pin_a_known_fault() -> None:
    known = tomllib.loads((ENVIRONMENTS / "known-fixes.toml").read_text())
    below = script("audit.py")["below_fixes"]
    bounds = list(below([str(one) for one in asked()], known))
    assert not [line for line in bounds if line.startswith("MALICIOUS")]
    # A bound that is raised leaves this list; one that a new entry of the table names is raised, or comes into it.
    assert {re.split("[!>]", line.split(": ")[1])[0] for line in bounds} == {
        "scikit-learn",
        "transformers",
        "lightning",
    }
    assert list(below([f"{name}=={version}" for name, version in constrained().items()], known)) == []


def test_what_is_excluded_is_what_is_malicious() -> None:
    known = tomllib.loads((ENVIRONMENTS / "known-fixes.toml").read_text())["malicious"]
    lines = (ENVIRONMENTS / "excluded.txt").read_text().splitlines()
    found = {one.name: one.specifier for one in (Requirement(line) for line in lines if not line.startswith("#"))}
    for one in known:
        for package in one["packages"]:
            assert found.pop(package) == SpecifierSet(",".join(f"!={version}" for version in one["versions"]))
    assert not found
    recipe = (ROOT / "docs" / "environments.md").read_text()
    assert recipe.count("-c docs/environments/excluded.txt") == 1


def test_every_bound_has_a_lowest_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`make lower-bounds` holds each package to it; a requirement without one, or with a cap, would escape."""
    script("lowest.py")
    pins = {Requirement(line).name: Requirement(line).specifier for line in capsys.readouterr().out.splitlines()}
    tools = {Requirement(line).name for extra in ("docs", "dev") for line in PROJECT["optional-dependencies"][extra]}
    for requirement in asked():
        if requirement.name not in tools:
            assert str(pins[requirement.name]).replace("==", ">=") == str(requirement.specifier), requirement
