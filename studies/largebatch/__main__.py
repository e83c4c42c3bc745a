"""``python -m largebatch``."""

from largebatch.studies.cli import main

main()
