"""The batch scripts are those that were looked at, and what they ask for comes from the options, the folder, the site.

After a change that is meant: look at the difference, and copy what the test wrote over the file in ``scripts/``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from largebatch.schedulers.clusters import lsf, pbs, slurm
from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.schedulers.clusters.batch_script import Work
from largebatch.spaces.user_mistake import UserMistake
from largebatch.studies.cli import app
from largebatch.studies.clusters.site import allocation

SCRIPTS = Path(__file__).with_name("scripts")
SITES = Path(__file__).parents[2] / "docs" / "sites"
WORK = Work(
    command=("largebatch", "run", "my study.yaml", "--address", "auto"),
    folder=Path("/shared/work/clusters/one"),
    working_folder=Path("/shared/work"),
    python="/shared/venv/bin/python",
)
ASKED = {"nodes": 3, "time": "4:00:00", "min_nodes": 2}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The examples of the docs are this user's sites."""
    folder = tmp_path / "config" / "largebatch" / "sites"
    folder.mkdir(parents=True)
    for example in SITES.glob("*.yaml"):
        (folder / example.name).write_text(example.read_text())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scripts() -> dict[str, str]:
    """Each system, at its site's defaults and bare."""
    plain = Allocation.model_validate({"nodes": 2, "cpus_per_node": 8})
    hold = Work(command=(), folder=WORK.folder, working_folder=WORK.working_folder, python=WORK.python)
    contained = Allocation.model_validate({"gpus_per_node": 2, "container": "large batch.sif"})
    return {
        "slurm-site": slurm.script(allocation(ASKED, "slurm"), WORK),
        "slurm": slurm.script(plain, hold),
        "slurm-container": slurm.script(contained, hold),
        "pbs-site": pbs.script(allocation(ASKED, "pbs"), WORK),
        "pbs": pbs.script(plain, hold),
        "lsf-site": lsf.script(allocation(ASKED, "lsf"), WORK),
        "lsf": lsf.script(plain, hold),
    }


@pytest.mark.usefixtures("home")
def test_scripts_are_those_that_were_looked_at(tmp_path: Path) -> None:
    found = scripts()
    for name, script in found.items():
        (tmp_path / f"{name}.sh").write_text(script)
    assert {path.stem for path in SCRIPTS.glob("*.sh")} == set(found)
    for name, script in found.items():
        assert script == (SCRIPTS / f"{name}.sh").read_text(), f"see {tmp_path / name}.sh"
        subprocess.run(["bash", "-n", tmp_path / f"{name}.sh"], check=True)


def test_the_command_line_goes_before_the_folder_and_that_before_the_site(home: Path) -> None:
    (home / "largebatch.toml").write_text(
        '[cluster]\nsite = "slurm"\nqueue = "debug"\nnodes = 4\ndirectives = ["--reservation=mine"]\n'
    )
    asked = allocation({"nodes": 2, "directives": ["--nice"]}, None)
    assert (asked.nodes, asked.queue, asked.account) == (2, "debug", "my-project")
    assert asked.directives == ("--constraint=a100", "--mem=0", "--reservation=mine", "--nice")
    assert asked.time is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"time": "10"}, "--time: a time must be H:MM:SS, H:MM or D-HH:MM:SS; got '10'"),
        ({"time": "1:75:00"}, "--time: minutes and seconds must be below 60"),
        ({"time": "0:03:00"}, "time must be more than twice warning_seconds"),
        ({"nodes": 2, "min_nodes": 3}, "min_nodes must be at most nodes; got 3 of 2"),
        ({"queue": "a b"}, "--queue: a name has letters, digits and"),
        ({"directives": ["--a\n--b"]}, "--directives: must be one line of text"),
    ],
)
def test_a_wrong_request_is_told(given: dict[str, object], said: str) -> None:
    with pytest.raises(UserMistake) as told:
        allocation(given, None)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queu: gpu", "unknown key 'queu'; did you mean 'queue'?"),
        ("- gpu", "must be names and values"),
        ("queue: [", "cannot be read"),
        ("prologue: module load cuda", "prologue must be a list of lines"),
    ],
)
def test_a_wrong_site_is_told(home: Path, text: str, said: str) -> None:
    (home / "config/largebatch/sites/mine.yaml").write_text(text)
    with pytest.raises(UserMistake) as told:
        allocation({}, "mine")
    assert said in str(told.value)
    assert "mine.yaml" in str(told.value)


@pytest.mark.usefixtures("home")
def test_an_unknown_site_is_told_with_those_that_are_there() -> None:
    with pytest.raises(UserMistake, match="there are lsf, pbs, slurm"):
        allocation({}, "nowhere")


def test_times() -> None:
    for text, seconds in (("4:00:00", 14_400), ("0:30", 1_800), ("1-12:00:00", 129_600)):
        assert Allocation.model_validate({"time": text}).time == seconds


def test_the_launcher_loads_no_engine() -> None:
    """It starts on every node of a job: what it imports, a shared file system has to give to all at once."""
    code = (
        "import sys, largebatch.schedulers.clusters.launcher.__main__\n"
        "heavy = {'torch', 'ray', 'numpy', 'pydantic', 'typer'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.usefixtures("home")
def test_submitting_and_ending_a_job_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins of Slurm's commands: what a script of the user's reads."""
    for name, said in (("sbatch", "4711"), ("squeue", "RUNNING"), ("scancel", "")):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho {said}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def told(*words: str) -> dict[str, str]:
        result = CliRunner().invoke(app, ["cluster", *words])
        assert result.exit_code == 0, result.output
        found: dict[str, str] = json.loads(result.output)
        return found

    asked = ("slurm", "--cpus-per-node", "2", "--json")
    assert told(*asked, "--dry-run", "--", "true")["script"].startswith("#!/bin/bash\n")
    assert not (tmp_path / "clusters").exists()
    job = told(*asked, "--", "true")
    assert (job["job"], job["system"], Path(job["log"]).name) == ("4711", "slurm", "log.txt")
    assert told("stop", "4711", "--json") == {"job": "4711", "system": "slurm"}
