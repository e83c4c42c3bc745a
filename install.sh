#!/bin/bash
# installs this worktree's package into its own .venv (shared dependencies)
cd "$(dirname "$0")"; rm -rf build
rm -rf .venv/lib/python3.11/site-packages/largebatch .venv/lib/python3.11/site-packages/largebatch-*
.venv/bin/python -m pip install -q --no-deps --no-build-isolation --force-reinstall --ignore-installed --disable-pip-version-check .
rm -rf build
