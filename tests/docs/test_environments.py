"""The files of docs/environments say what pyproject.toml says, and name what is there."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

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
    folders = {
        Path(one).parts[0]
        for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-dir"].values()
    }
    files = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "docs/environments/constraints.txt"}
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
