"""The tasks that ship, one file each."""

TASKS: dict[str, str] = {
    "digits": "largebatch.trainers.tasks.digits:digits",
    "imagenet": "largebatch.trainers.tasks.imagenet:imagenet",
    "images-small": "largebatch.trainers.tasks.images_small:images_small",
}
"""Name -> ``module:function``."""
