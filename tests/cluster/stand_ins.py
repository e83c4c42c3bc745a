"""Stand-ins of PBS's and LSF's commands that run jobs on this machine: what ``largebatch cluster`` sees of them.

A job gets the variables that the real system sets, and of the user's environment what that system passes on. All of its
nodes are this machine. Called as ``stand_ins.py COMMAND FOLDER ARGUMENTS``; the state of jobs is in ``FOLDER``.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

_PASSED = ("HOME", "LANG", "LOGNAME", "PATH", "USER")
"""All that PBS passes on."""


def install(bin_folder: Path, state: Path) -> None:
    """Put commands that stand for the real ones into ``bin_folder``."""
    bin_folder.mkdir()
    state.mkdir()
    for name in COMMANDS:
        path = bin_folder / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" {name} "{state}" "$@"\n')
        path.chmod(0o755)


def qsub(state: Path, words: list[str]) -> int:
    """``qsub [-v NAME=VALUE] SCRIPT``."""
    given = words[words.index("-v") + 1] if "-v" in words else ""
    number = _start("pbs", state, Path(words[-1]).read_text(), given)
    print(f"{number}.stand-in")
    return 0


def bsub(state: Path, words: list[str]) -> int:
    """``bsub <SCRIPT``."""
    assert not words
    print(f"Job <{_start('lsf', state, sys.stdin.read(), '')}> is submitted to default queue <normal>.")
    return 0


def qstat(state: Path, words: list[str]) -> int:
    """``qstat -f -F json JOB``."""
    job = words[-1]
    if not _runs(state, job):
        print(f"qstat: Unknown Job Id {job}", file=sys.stderr)
        return 153
    print(f'{{\n "Jobs":{{\n  "{job}":{{\n   "job_state":"R",\n   "queue":"workq"\n  }}\n }}\n}}')
    return 0


def bjobs(state: Path, words: list[str]) -> int:
    """``bjobs -noheader -o stat JOB``."""
    print("RUN" if _runs(state, words[-1]) else "DONE")
    return 0


def end(state: Path, words: list[str]) -> int:
    """``qdel JOB``, ``bkill JOB``: TERM to all of the job."""
    os.killpg(int((state / words[-1].split(".")[0] / "group").read_text()), signal.SIGTERM)
    return 0


def pbsdsh(state: Path, words: list[str]) -> int:
    """``pbsdsh -- COMMAND``: on every node, without the environment of the script."""
    job = os.environ["PBS_JOBID"]
    nodes = Path(os.environ["PBS_NODEFILE"]).read_text().split()
    clean = {"PATH": "/usr/bin:/bin", "HOME": os.environ["HOME"], "PBS_JOBID": job, "PBS_ENVIRONMENT": "PBS_BATCH"}
    command = words[words.index("--") + 1 :]
    return _on_nodes([(command, {**clean, "PBS_NODENUM": str(index)}) for index in range(len(nodes))])


def blaunch(state: Path, words: list[str]) -> int:
    """``blaunch -z "HOST HOST" COMMAND``: on every host, with the environment of the script."""
    assert words[0] == "-z"
    return _on_nodes([(words[2:], dict(os.environ)) for _ in words[1].split()])


def run(state: Path, words: list[str]) -> int:
    """The job's own process: the script, again where LSF was told to put it back at its exit code."""
    number, system, given = words
    folder = state / number
    script = (folder / "script").read_text()
    asked = re.findall(rf"^#{'PBS' if system == 'pbs' else 'BSUB'} (.*)$", script, re.MULTILINE)
    environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
    (folder / "nodes").write_text("\n".join(_slots(system, asked)) + "\n")
    if system == "pbs":
        environment |= {"PBS_JOBID": f"{number}.stand-in", "PBS_NODEFILE": str(folder / "nodes")}
        environment |= dict([given.split("=", 1)] if given else [])
    else:
        environment |= os.environ
        environment |= {"LSB_JOBID": number, "LSB_DJOB_HOSTFILE": str(folder / "nodes")}
    again = next((option.split()[1] for option in asked if option.startswith("-Q ")), None)
    cwd = environment["HOME"] if system == "pbs" else None
    while str(subprocess.run(["/bin/bash", str(folder / "script")], env=environment, cwd=cwd).returncode) == again:
        pass
    return 0


def _slots(system: str, asked: list[str]) -> list[str]:
    """The host file: a line a node of PBS, a line a slot of LSF."""
    text = "\n".join(asked)
    if system == "pbs":
        found = re.search(r"^-l select=(\d+):", text, re.MULTILINE)
        assert found is not None
        return [f"node{index}" for index in range(int(found[1]))]
    slots, each = re.search(r"^-n (\d+)$", text, re.MULTILINE), re.search(r"span\[ptile=(\d+)\]", text)
    assert slots is not None
    assert each is not None
    return [f"node{index // int(each[1])}" for index in range(int(slots[1]))]


def _start(system: str, state: Path, script: str, given: str) -> str:
    number = str(1 + len(list(state.iterdir())))
    folder = state / number
    folder.mkdir()
    (folder / "script").write_text(script)
    with (folder / "printed").open("w") as printed:
        job = subprocess.Popen(
            [sys.executable, __file__, "run", str(state), number, system, given],
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed,
        )  # fmt: skip
    (folder / "group").write_text(str(job.pid))
    return number


def _runs(state: Path, job: str) -> bool:
    with contextlib.suppress(OSError):
        number = int((state / job.split(".")[0] / "group").read_text())
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def _on_nodes(commands: list[tuple[list[str], dict[str, str]]]) -> int:
    return max(process.wait() for process in [subprocess.Popen(words, env=env) for words, env in commands])


COMMANDS: dict[str, Callable[[Path, list[str]], int]] = {
    "qsub": qsub, "qstat": qstat, "qdel": end, "pbsdsh": pbsdsh, "bsub": bsub, "bjobs": bjobs, "bkill": end,
    "blaunch": blaunch, "run": run,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:]))
