"""The five folders of the repository are one import package: ``search/`` is ``largebatch.search``, and so on."""

from setuptools import find_packages, setup

FOLDERS = ("schedulers", "search", "spaces", "studies", "trainers")
INCLUDED = [pattern for folder in FOLDERS for pattern in (folder, f"{folder}.*")]
FOUND = [
    *find_packages("studies/largebatch"),
    *find_packages(include=INCLUDED, exclude=["studies.largebatch", "studies.largebatch.*"]),
]

setup(
    packages=["largebatch", *(f"largebatch.{name}" for name in FOUND)],
    package_dir={"largebatch": "studies/largebatch", **{f"largebatch.{folder}": folder for folder in FOLDERS}},
)
