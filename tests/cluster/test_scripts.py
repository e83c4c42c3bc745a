"""The batch scripts are those that were looked at, and what they ask for comes from the options, the folder, the site.

After a change that is meant: look at the difference, and copy what the test wrote over the file in ``scripts/``.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from largebatch.schedulers.clusters import lsf, pbs, slurm
from largebatch.schedulers.clusters.allocation import Allocation
from largebatch.schedulers.clusters.batch_script import Work
from largebatch.spaces.errors import UserError
from largebatch.studies.cli import app
from largebatch.studies.question.cluster_site import allocation

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
        ({"time": "soon"}, "--time: a time must be H:MM:SS, minutes, D-HH or D-HH:MM:SS; got 'soon'"),
        ({"time": "30:00"}, "30:00 is 30 min to sbatch and qsub and 30 h to bsub; write 0:30:00 or 30:00:00"),
        ({"time": "1:75:00"}, "--time: minutes and seconds must be below 60"),
        ({"time": "0:03:00"}, "time must be more than twice warning_seconds"),
        ({"nodes": 2, "min_nodes": 3}, "min_nodes must be at most nodes; got 3 of 2"),
        ({"queue": "a b"}, "--queue: a name has letters, digits and"),
        ({"directives": ["--a\n--b"]}, "--directives: must be one line of text"),
    ],
)
def test_a_wrong_request_is_told(given: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as told:
        allocation(given, None)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("queu: gpu", "unknown key 'queu'; did you mean 'queue'?"),
        ("- gpu", "must be names and values"),
        ("queue: [", "mine.yaml, line 1: not valid YAML"),
        ("prologue: module load cuda", "prologue must be a list of lines"),
        ("nodes: 2\ntime: 4:00:00", "mine.yaml, line 2: not valid YAML: YAML 1.1 reads 4:00:00 as 14400, a number of"),
        ("nodes: 2\ntime: 90", "mine.yaml, line 2: time must be text, in quotes; got 90"),
        ("nodes: 2\nqueue: on", "mine.yaml, line 2: queue must be text, in quotes; got True"),
        ("account: 0123", "mine.yaml, line 1: account must be text, in quotes; got 83"),
        (
            "prologue:\n  - module load\n  - off",
            "line 3: prologue must be lines of text in quotes; got False",
        ),
        ("nodes: yes", "mine.yaml, line 1: nodes must be a number; got True"),
        ("nodes: 0", "mine.yaml, line 1: nodes: Input should be greater than or equal to 1"),
        ("time: '30:00'", "mine.yaml, line 1: time: 30:00 is 30 min to sbatch"),
        ("nodes: 2\nnodes: 3", "mine.yaml, line 2: the key stands twice"),
    ],
)
def test_a_wrong_site_is_told(home: Path, text: str, said: str) -> None:
    (home / "config/largebatch/sites/mine.yaml").write_text(text)
    with pytest.raises(UserError) as told:
        allocation({}, "mine")
    assert said in str(told.value)
    assert "mine.yaml" in str(told.value)


@pytest.mark.usefixtures("home")
def test_an_unknown_site_is_told_with_those_that_are_there() -> None:
    with pytest.raises(UserError, match="there are lsf, pbs, slurm"):
        allocation({}, "nowhere")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("4:00:00", 14_400), ("90", 5_400), ("2-0", 172_800), ("1-12", 129_600), ("1-12:30", 131_400),
     ("1-12:00:00", 129_600)],
)  # fmt: skip
def test_times_are_what_sbatch_means_by_them(text: str, seconds: int) -> None:
    assert Allocation.model_validate({"time": text}).time == seconds


def test_minutes_that_pbs_would_read_as_seconds_are_refused_for_pbs_alone() -> None:
    with pytest.raises(UserError, match="90 is 90 seconds to qsub and 90 minutes to sbatch and bsub; write"):
        allocation({"time": "90"}, None, "pbs")
    assert allocation({"time": "90"}, None, "lsf").time == 5_400


def test_lsf_counts_whole_minutes_and_not_too_few() -> None:
    assert "#BSUB -W 0:11\n" in lsf.script(Allocation.model_validate({"time": "0:10:01"}), WORK)
    assert "#BSUB -W 0:10\n" in lsf.script(Allocation.model_validate({"time": "0:10:00"}), WORK)


def test_a_folder_with_a_space_and_a_percent_sign_is_one_name_to_each_system() -> None:
    odd = Work(command=("true",), folder=Path("/w/50%jobs of mine/x"), working_folder=Path("/w"), python="python")
    plain = Allocation()
    assert "#SBATCH '--output=/w/50%%jobs of mine/x/log.txt'\n" in slurm.script(plain, odd)
    assert "--output=/w/50%%jobs of mine/x/log.txt" in slurm.submit_command(plain, odd)
    assert "#PBS -o '/w/50%jobs of mine/x/batch.txt'\n" in pbs.script(plain, odd)
    assert "#BSUB -o '/w/50%jobs of mine/x/batch.txt'\n" in lsf.script(plain, odd)


@pytest.mark.parametrize(("system", "folder"), [(lsf, "/w/50%Jobs"), (lsf, "/w/%I"), (pbs, "/w/a:b")])
def test_a_folder_that_a_system_cannot_name_is_refused(system: ModuleType, folder: str) -> None:
    odd = Work(command=("true",), folder=Path(folder), working_folder=Path("/w"), python="python")
    with pytest.raises(UserError, match=re.escape(f"{folder}; rename it")):
        system.script(Allocation(), odd)


def test_a_directive_with_its_system_s_mark_loses_it_and_any_other_comment_is_refused() -> None:
    asked = Allocation(directives=("#SBATCH --mem=4000",))
    assert "\n#SBATCH --mem=4000\n" in slurm.script(asked, WORK)
    assert slurm.submit_command(asked, WORK)[-2] == "--mem=4000"
    for system in (pbs, lsf):
        with pytest.raises(UserError, match="what begins with # is a comment here; got '#SBATCH --mem=4000'"):
            system.script(asked, WORK)
    with pytest.raises(UserError, match="cannot be read: No closing quotation"):
        slurm.script(Allocation(directives=("--comment='a",)), WORK)


def test_what_is_asked_for_is_on_sbatch_s_command_line_where_its_environment_cannot_override_it() -> None:
    command = slurm.submit_command(Allocation.model_validate({"time": "4:00:00", "queue": "gpu"}), WORK)
    assert {"--export=ALL", "--time=4:00:00", "--partition=gpu"} <= set(command)
    assert command[-1] == "/shared/work/clusters/one/job.sh"


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
