"""Constraints that hold every package to the lowest version that pyproject.toml allows, on standard output.

All at once: uv's `--resolution lowest-direct` would raise one in silence where two do not go together. Those of `docs`
and `dev` are tools, not what a user installs. `make lower-bounds` runs the tests on them.
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
lines = set(project["dependencies"])
for extra, required in project["optional-dependencies"].items():
    if extra not in ("docs", "dev"):
        lines |= set(required)
print("\n".join(sorted(re.sub(r"\[.*\]", "", line).replace(">=", "==") for line in lines)))
