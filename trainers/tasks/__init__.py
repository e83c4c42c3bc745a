"""The tasks that ship, one file each."""

TASKS: dict[str, str] = {
    "digits": "largebatch.trainers.tasks.digits:digits",
    "galaxies": "largebatch.trainers.tasks.galaxies:galaxies",
    "galaxies-small": "largebatch.trainers.tasks.galaxies:galaxies_small",
    "gw": "largebatch.trainers.tasks.gw:gw",
    "gw-small": "largebatch.trainers.tasks.gw:gw_small",
    "imagenet": "largebatch.trainers.tasks.imagenet:imagenet",
    "images-small": "largebatch.trainers.tasks.images_small:images_small",
}
"""Name -> ``module:function``."""
