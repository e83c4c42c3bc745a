"""Python, the packages and torch, with what they need of the machine below them."""

import csv
import importlib.metadata
import platform
import shutil
import subprocess

from largebatch.studies.checks.machine.allocation import visible_gpus
from largebatch.studies.checks.machine.child import ChildFailed, from_child
from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning

IMPORT_SECONDS = 120.0
"""On a shared file system that many nodes read, torch has taken more than a minute to import."""
_OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""By the major version of CUDA. Reference: NVIDIA, CUDA Compatibility, Minor Version Compatibility, table 1."""
_TORCH_FOR_CUDA_12 = "torch>=2.6,<2.11"
"""The releases on PyPI that are built for it, by what their metadata require."""
_TORCH = """
import json, torch
found = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip, "nccl": None}
found["gpus"], found["error"] = 0, None
if torch.version.cuda and torch.distributed.is_available() and torch.distributed.is_nccl_available():
    found["nccl"] = ".".join(map(str, torch.cuda.nccl.version()))
try:
    found["gpus"] = torch.cuda.device_count()
    for index in range(found["gpus"]):
        assert torch.ones(1, device=f"cuda:{index}").add(1).item() == 2
except Exception as error:
    found["error"] = str(error).strip().splitlines()[0]
print(json.dumps(found))
"""
_IMPORT = """
import importlib, json, sys
failed = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = f"{type(error).__name__}: {error}".splitlines()[0]
print(json.dumps(failed))
"""
_MODULES = ("numpy", "scipy", "pyarrow", "optuna", "pydantic", "yaml", "plotly", "sklearn")


def python() -> Finding:
    """Its version, against what the package asks for."""
    from packaging.specifiers import SpecifierSet  # late: without it these two checks fail, and no other

    asked = importlib.metadata.metadata("largebatch")["Requires-Python"]
    here = platform.python_version()
    if here not in SpecifierSet(asked):
        return problem("Python", f"{here}; {asked} is needed", "uv venv --python 3.12")
    return ok("Python", f"{here} ({platform.machine()}, {' '.join(platform.libc_ver()) or 'not glibc'})")


def packages() -> Finding:
    """The versions of what is installed, against our bounds; of the extras, those that are installed."""
    from packaging.requirements import Requirement

    needed: list[str] = []
    others: list[str] = []
    seen = []
    for requirement in map(Requirement, importlib.metadata.requires("largebatch") or ()):
        optional = requirement.marker is not None and "extra" in str(requirement.marker)
        asked = f"{requirement.name}{requirement.specifier}"
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            if not optional:
                needed.append(f"no {asked}")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            (others if optional else needed).append(f"{requirement.name} {version}, not {asked}")
        elif not optional:
            seen.append(f"{requirement.name} {version}")
    wrong = [*needed, *dict.fromkeys(others)]
    if wrong:
        found = problem if needed else warning
        return found("packages", "; ".join(wrong), "pip install --upgrade largebatch")
    return ok("packages", ", ".join(seen))


def imports() -> Finding:
    """Whether the packages can be imported: a version says nothing of a library that is not there."""
    try:
        failed = from_child(_IMPORT, *_MODULES, seconds=IMPORT_SECONDS)
    except ChildFailed as error:
        return problem("imports", f"{', '.join(_MODULES)}: {error}", "pip install --force-reinstall largebatch")
    if failed:
        names = " ".join(name.replace("yaml", "pyyaml").replace("sklearn", "scikit-learn") for name in failed)
        measured = "; ".join(f"{name}: {why}" for name, why in failed.items())
        return problem("imports", measured, f"pip install --force-reinstall {names}")
    return ok("imports", ", ".join(_MODULES))


def ray_import() -> Finding:
    """Whether Ray can be imported."""
    try:
        version = from_child("import json, ray; print(json.dumps(ray.__version__))", seconds=IMPORT_SECONDS)
    except ChildFailed as error:
        return problem("Ray", str(error), "pip install --force-reinstall 'ray[tune,train]'")
    return ok("Ray", str(version))


def torch() -> Finding:
    """Its build, and whether it can add two numbers on every GPU that the job sees."""
    try:
        found = from_child(_TORCH, seconds=IMPORT_SECONDS)
    except ChildFailed as error:
        return problem("torch", str(error), "pip install --force-reinstall torch")
    build = f"CUDA {found['cuda']}" if found["cuda"] else f"ROCm {found['hip']}" if found["hip"] else "for CPUs"
    nccl = f", NCCL {found['nccl']}" if found["nccl"] else ""
    measured = f"{found['version']}, {build}{nccl}, {found['gpus']} GPUs"
    if found["error"]:
        return problem("torch", f"{measured}: {found['error']}", "nvidia-smi   # does the driver answer?")
    here = visible_gpus()
    if here and not (found["cuda"] or found["hip"]):
        return problem("torch", f"{measured}; the node has {here}", "pip install --force-reinstall torch==2.13.0")
    if found["gpus"] < here:
        return problem("torch", f"{measured}; the job has {here}", "python -c 'import torch; torch.cuda.init()'")
    return ok("torch", measured)


def driver() -> Finding:
    """Whether NVIDIA's driver is new enough for the CUDA that torch was built with."""
    if shutil.which("nvidia-smi") is None:
        return ok("GPU driver", "no nvidia-smi: no NVIDIA GPU on this node")
    ask = ["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]
    done = subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False)
    rows = [[cell.strip() for cell in row] for row in csv.reader(done.stdout.splitlines()) if len(row) == 2]
    if done.returncode or not rows:
        said = (done.stdout + done.stderr).strip().splitlines() or ["it says nothing"]
        return problem("GPU driver", f"nvidia-smi fails: {said[0]}", "ask for a node with GPUs, or tell the site")
    version, measured = rows[0][0], f"{rows[0][0]}, {len(rows)} x {rows[0][1]}"
    try:
        cuda = from_child("import json, torch; print(json.dumps(torch.version.cuda))", seconds=IMPORT_SECONDS)
    except ChildFailed:
        cuda = None  # the check of torch says why
    if cuda is None:
        return ok("GPU driver", measured)
    least, has = _OLDEST_DRIVER.get(int(cuda.split(".")[0]), 0), int(version.split(".")[0])
    if has < least:
        section = '"A driver older than torch\'s CUDA" in docs/environments.md'
        mend = f"choose another build of torch: {section}"
        if has >= _OLDEST_DRIVER[12]:
            mend = f"pip install --force-reinstall '{_TORCH_FOR_CUDA_12}'   # or another build: {section}"
        return problem("GPU driver", f"{measured}; torch's CUDA {cuda} needs {least} or newer", mend)
    return ok("GPU driver", f"{measured}; CUDA {cuda} needs {least}")
