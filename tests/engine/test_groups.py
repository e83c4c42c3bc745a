"""Trials of different device counts on one cluster, and groups that give their devices back on every way out."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from largebatch.studies.record.ledger import Ledger

WAIT = """
import time, ray
ray.init(address="{address}", logging_level="ERROR", log_to_driver=False)
deadline = time.monotonic() + {seconds}
while (free := ray.available_resources().get("CPU", 0)) != 4 and time.monotonic() < deadline:
    time.sleep(0.2)
print("CPUs:", free)
"""


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its files; short, for names of sockets have at most 107 letters."""
    with tempfile.TemporaryDirectory(prefix="lb", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, ray_folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a Ray of four CPUs that is not ours to end, and the environment of who may use it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    environment = {
        **os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": str(ray_folder), "PACE_SECONDS": "0.04",
    }  # fmt: skip
    arguments = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1",
        f"--port={address.split(':')[1]}", "--num-cpus=4", "--include-dashboard=false", "--disable-usage-stats",
    ]  # fmt: skip
    log = tmp_path_factory.mktemp("ray") / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            arguments, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield address, environment
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def assert_all_come_free(address: str, environment: dict[str, str], seconds: float = 90) -> None:
    """Within so many seconds all four CPUs are given back."""
    done = subprocess.run(
        [sys.executable, "-c", WAIT.format(address=address, seconds=seconds)],
        capture_output=True, text=True, timeout=seconds + 60, env=environment, check=False,
    )  # fmt: skip
    assert done.stdout == "CPUs: 4.0\n", done.stdout + done.stderr


@pytest.mark.slow
def test_trials_of_one_and_two_devices_give_all_back_however_the_study_ends(
    cluster: tuple[str, dict[str, str]], tmp_path: Path, study_text: str
) -> None:
    """kill -9, Ctrl-C, and the end, each while or after groups of one and of two devices were open."""
    address, environment = cluster
    study, out = tmp_path / "small.yaml", tmp_path / "out"
    text = study_text.replace("{checkpoint_seconds: 0}", "{checkpoint_seconds: 0, examples_per_device: 64}")
    study.write_text(text.replace("trials: 6", "trials: 8"))
    arguments = [sys.executable, "-m", "largebatch", "run", str(study), "--out", str(out), "--address", address]

    def ended() -> int:
        ledger = out / "ledger.log"
        trials = Ledger(ledger, "small", create=False).trials() if ledger.exists() else []
        return sum(trial.ending is not None for trial in trials)

    for number, expected in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130), (None, 0)):
        before, deadline = ended(), time.monotonic() + 400
        with subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process:
            while number is not None and ended() < before + 1:
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < deadline
                time.sleep(0.2)
            if number is not None:
                process.send_signal(number)
            output, _ = process.communicate(timeout=400)
        assert process.returncode == expected, output
        assert_all_come_free(address, environment)
    trials = Ledger(out / "ledger.log", "small", create=False).trials()
    assert [trial.number for trial in trials] == list(range(8))
    assert all(trial.ending is not None and not trial.ending.reason for trial in trials)
    assert {trial.recipe.global_batch_size: trial.num_devices for trial in trials} == {32: 1, 64: 1, 128: 2}


OWN = """
from largebatch.studies.running.engines.ray_cluster import ray_cluster
with ray_cluster(None):
    import ray
    print("CPUs:", ray.available_resources()["CPU"])
"""


@pytest.mark.slow
def test_a_ray_of_our_own_joins_no_other_and_waits_for_none_that_is_gone(ray_folder: Path) -> None:
    """`ray start` leaves its address behind when it is killed; Ray looks there unless told not to."""
    (ray_folder / "ray").mkdir()
    (ray_folder / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    result = subprocess.run(
        [sys.executable, "-c", OWN], capture_output=True, text=True, timeout=200, check=False,
        env={**os.environ, "RAY_TMPDIR": str(ray_folder)},
    )  # fmt: skip
    assert "CPUs: " in result.stdout, result.stderr
