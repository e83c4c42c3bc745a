#!/bin/sh
# pytest 9.2.0 with pytest-xdist 3.8.0: `--dist loadgroup` no longer keeps the tests of one `xdist_group` together.
#
# Seen (Linux, Python 3.11.7): eight tests that carry one group run on one worker with pytest 9.1.0 ("8 gw0"), and on
# both workers with pytest 9.2.0 ("5 gw0, 3 gw1", differing from run to run). Nothing warns: the marker is registered,
# the option is accepted, and every test passes. Both releases satisfy what pytest-xdist 3.8.0, the newest, asks for.
# A good guess: an option that is accepted has its effect, or the incompatible pair is refused.
# Why it matters: a suite that relies on groups to share one expensive server runs several of them at once, and fails
# or slows down far from the cause.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir tests
cat > tests/test_group.py <<'P'
import os

import pytest


@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(40))
def test_where(number, worker_id):
    with open(os.environ["WHERE"], "a") as file:
        file.write(f"{worker_id}\n")
P

workers() {
  python3 -m venv --clear env
  env/bin/pip install -q --disable-pip-version-check "pytest==$1" pytest-xdist==3.8.0
  rm -f where
  WHERE="$folder/where" env/bin/python -m pytest -q -n 2 --dist loadgroup tests > log 2>&1 || { cat log; exit 2; }
  sort -u where | wc -l
}

before=$(workers 9.1.0)
after=$(workers 9.2.0)
echo "workers that ran the tests of one group: $before with pytest 9.1.0, $after with pytest 9.2.0"
[ "$before" -eq 1 ] && [ "$after" -eq 2 ]
