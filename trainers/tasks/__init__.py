"""The tasks that ship, one file each."""

TASKS: dict[str, str] = {
    "digits": "largebatch.trainers.tasks.digits:digits",
    "gw": "largebatch.trainers.tasks.gw:gw",
    "gw-small": "largebatch.trainers.tasks.gw:gw_small",
}
"""Name -> ``module:function``."""
