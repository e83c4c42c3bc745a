"""The house: imports go one way, engines are loaded late, files stay short, what is installed is what is here."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "spaces": set(),
    "trainers": {"spaces"},
    "search": {"spaces"},
    "schedulers": {"spaces"},
    "studies": {"spaces", "trainers", "search", "schedulers"},
}
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    folder, *inside = path.relative_to(ROOT).parts
    own = {folder, "testing"} if inside[:2] == ["largebatch", "testing"] else {folder}
    for name in imported(path):
        if name.startswith("largebatch."):
            assert name.split(".")[1] in FOLDERS[folder] | own, f"{folder} must not import {name}"


@pytest.mark.parametrize(
    ("engine", "allowed"),
    [
        (
            "ray",
            {
                "schedulers/trial/asha.py",
                "schedulers/trial/median.py",
                "trainers/workers/worker_group.py",
                "trainers/profiling/step_timing.py",
                "studies/running/engines",
            },
        ),
        (
            "optuna",
            {
                "search/searchers",
                "studies/record/ledger.py",
                "studies/record/lease/fenced_journal.py",
                "studies/record/journal.py",
                "studies/record/database",
            },
        ),
        ("sqlalchemy", {"studies/record/database"}),
        ("deephyper", {"search/searchers/cbo.py"}),
        ("cmaes", {"search/searchers/cma_es.py"}),
        (
            "torch",
            {
                "trainers",
                "studies/running/engines/in_process.py",
                "studies/question/load_task.py",
                "studies/largebatch/testing",
            },
        ),
    ],
)
def test_each_engine_is_known_to_few_files(engine: str, allowed: set[str]) -> None:
    for path in FILES:
        if any(name.split(".")[0] == engine for name in imported(path)):
            relative = str(path.relative_to(ROOT))
            assert any(relative == name or relative.startswith(f"{name}/") for name in allowed), relative


def test_files_are_short() -> None:
    for path in FILES:
        assert len(path.read_text().splitlines()) <= 400, path


def test_help_loads_no_engine() -> None:
    """What takes long to import: ``--help`` must answer at once."""
    code = (
        "import sys; sys.argv = ['largebatch', '--help']\n"
        "from largebatch.studies.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'ray', 'optuna', 'scipy', 'plotly', 'pyarrow', 'numpy', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_names_of_the_package_are_there_and_load_late() -> None:
    code = (
        "import sys, largebatch\n"
        "assert not {'torch', 'ray', 'pydantic'} & set(sys.modules)\n"
        "assert set(largebatch.__all__) == set(largebatch._MODULES)\n"
        "for name in largebatch.__all__: getattr(largebatch, name)\n"
        "assert not hasattr(largebatch, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_suites_for_a_user_s_own_need_no_pytest_and_load_torch_late() -> None:
    code = (
        "import sys, largebatch.testing as testing\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert set(testing.__all__) == set(testing._MODULES)\n"
        "testing.make_trial, testing.make_study, testing.check_searcher, testing.check_scheduler\n"
        "assert 'torch' not in sys.modules\n"
        "for name in testing.__all__: getattr(testing, name)\n"
        "assert not hasattr(testing, 'nothing')\n"
        "assert not {'pytest', '_pytest', 'hypothesis'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_package_under_test_is_these_sources() -> None:
    """The tests may run on an installed wheel: every source file must be in it, unchanged."""
    import largebatch

    package = Path(largebatch.__file__).parent
    for path in FILES:
        folder, *rest = path.relative_to(ROOT).parts
        inside = Path(*rest)
        installed = package / folder / inside
        if folder == "studies" and rest[0] == "largebatch":
            installed = package / Path(*rest[1:])
        if package == ROOT / "studies" / "largebatch":
            continue  # an editable install
        assert installed.read_text() == path.read_text(), installed


ROOMS = ("question", "record", "running", "answer", "views", "commands")
"""Of ``studies/``, from the ground up: each may import those before it."""
BESIDE = {
    "checks": {"question", "record", "running"},
    "training": {"question", "record", "running", "answer", "views"},
    "exchange": {"question", "record", "running", "answer", "views"},
}
"""Rooms beside the stairs, and what each may import."""
MAY_IMPORT = {room: {*ROOMS[:floor]} for floor, room in enumerate(ROOMS)} | BESIDE
MAY_IMPORT["views"] |= {"checks"}  # to show what they found
MAY_IMPORT["commands"] |= {*BESIDE, "run"}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(("largebatch", *(parts[:-1] if parts[-1] == "__init__" else parts)))


MODULES = {module_of(path): path for path in FILES if path.relative_to(ROOT).parts[:2] != ("studies", "largebatch")}


def imported_modules(path: Path) -> set[str]:
    """Modules of ours that a file imports, at its top or late."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in inner}
    return found & set(MODULES)


def test_the_rooms_of_studies_import_downwards() -> None:
    for module, path in MODULES.items():
        parts = module.split(".")
        if parts[1] != "studies" or len(parts) < 4:  # `run` and `cli` put the rooms together
            continue
        room = parts[2]
        others = {other.split(".")[2] for other in imported_modules(path) if other.startswith("largebatch.studies.")}
        if room != "largebatch":
            assert others - {room} <= MAY_IMPORT[room], f"{module} must not import {others - {room} - MAY_IMPORT[room]}"


def test_no_circles_between_files() -> None:
    imports = {module: imported_modules(path) - {module} for module, path in MODULES.items()}
    while free := {module for module, names in imports.items() if not names & set(imports)}:
        imports = {module: names for module, names in imports.items() if module not in free}
    inside = {module: names & set(imports) for module, names in imports.items()}
    while unused := set(inside) - {name for names in inside.values() for name in names}:
        inside = {module: names for module, names in inside.items() if module not in unused}
    assert not inside, f"these import one another in a circle: {sorted(inside)}"


def test_every_module_is_imported_by_another() -> None:
    """Or named by its path, as tasks, adapters and what ``python -m`` starts are; templates are read as text."""
    sources = {module: path.read_text() for module, path in MODULES.items()}
    texts = {**sources, "pyproject": (ROOT / "pyproject.toml").read_text()}
    texts["largebatch"] = (ROOT / "studies" / "largebatch" / "__init__.py").read_text()
    used = {name for module, path in MODULES.items() for name in imported_modules(path) - {module}}
    for module, path in MODULES.items():
        if path.name in ("__init__.py", "__main__.py") or "templates" in path.parts or module in used:
            continue
        named = [other for other, text in texts.items() if other != module and module in text]
        assert named, f"nobody imports {module}"
