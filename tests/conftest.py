"""For all tests: one thread of torch, as the worker of a small machine has, and nothing from the user's own Ray."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, and for the processes that tests start
os.environ.pop("RAY_ADDRESS", None)
