"""The tasks that ship, one file each."""

TASKS: dict[str, str] = {"digits": "largebatch.trainers.tasks.digits:digits"}
"""Name -> ``module:function``."""
