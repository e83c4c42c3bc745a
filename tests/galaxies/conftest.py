"""Finds the modules beside the benchmark of real galaxies."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks" / "galaxies"))
