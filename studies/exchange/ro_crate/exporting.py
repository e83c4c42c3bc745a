"""``export``: a study as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1), one zip with a description of all in it."""

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rocrate.model import ContextEntity, DataEntity, Person, SoftwareApplication
from rocrate.rocrate import ROCrate

from largebatch.spaces.errors import UserError
from largebatch.spaces.target import Target
from largebatch.spaces.trial import Trial
from largebatch.studies.exchange.ro_crate.contents import Part, parts_of
from largebatch.studies.exchange.ro_crate.credits import Author
from largebatch.studies.question.study import Study
from largebatch.studies.record.directory import StudyDirectory
from largebatch.studies.record.lease.lease import wait_until_free
from largebatch.studies.record.lease.lease_monitor import LeaseWatch
from largebatch.studies.record.open_ledger import read_ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: ``unfinished`` trials are in the ledger without an ending, and there may be no plan."""

    file: Path
    num_files: int
    num_trials: int
    unfinished: int
    has_plan: bool


def export_study(path: Path, file: Path, authors: Sequence[Author], licence: str | None) -> Exported:
    """Write the crate of the study in ``path`` to ``file``, whole or not at all.

    Args:
        path: A study directory; nobody may be writing it.
        file: Where the zip goes; nothing may lie there.
        authors: Of the study.
        licence: SPDX name of what others may do with it; None says that nothing was said.

    Raises:
        UserError: if there is no study, it runs, it is damaged, or ``file`` cannot be written.
    """
    directory = StudyDirectory.existing(path)
    if file.exists():
        raise UserError(f"{file} is there already; remove it, or choose another -o")
    fence = wait_until_free(watch := LeaseWatch(path))
    study = directory.study()
    trials = read_ledger(directory, study).trials()
    try:
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".export-") as folder:
            made = Path(folder)
            parts = list(parts_of(directory, study, trials, made))
            crate = _described(directory, study, trials, parts, authors, licence)
            crate.write_zip(made / file.name)
            if watch.look() is not None or watch.fence != fence:
                raise UserError(f"{path} was run meanwhile, and the crate may hold parts of both; export it again")
            file.touch(exist_ok=False)
            (made / file.name).rename(file)
    except FileExistsError as error:
        raise UserError(f"{file} is there already; remove it, or choose another -o") from error
    except OSError as error:
        if str(error.filename).startswith(f"{path}{os.sep}"):  # a file of the study
            raise
        raise UserError(f"{file} cannot be written: {error.strerror or error}; choose another -o") from error
    return Exported(
        file=file,
        num_files=len(parts),
        num_trials=len(trials),
        unfinished=sum(trial.ending is None for trial in trials),
        has_plan=directory.plan_file.exists(),
    )


def _described(
    directory: StudyDirectory, study: Study, trials: Sequence[Trial], parts: Sequence[Part], authors: Sequence[Author],
    licence: str | None,
) -> ROCrate:  # fmt: skip
    facts, target = directory.provenance(), directory.target()
    crate = ROCrate(version="1.1")
    crate.name = f"Study {study.name}: {study.task}, {target}"
    crate.description = _description(study, target, trials, has_plan=directory.plan_file.exists())
    crate.license = _licence(crate, licence)
    if any(trial.ending is None for trial in trials) or not directory.plan_file.exists():
        crate.creativeWorkStatus = "unfinished"
    people = [
        crate.add(Person(crate, author.address, properties={"name": author.name, "identifier": author.address}))
        for author in authors
    ]
    who = people[0] if len(people) == 1 else people  # the format wants one value to stand alone
    if people:
        crate.root_dataset["author"] = who
    files = {part.name: _file(crate, part) for part in parts}
    data = crate.add(
        ContextEntity(
            crate, "#data",
            properties={
                "@type": "CreativeWork", "name": f"training data of {study.task}",
                "identifier": f"sha256:{facts.get('data_fingerprint')}",
                "description": "Its fingerprint, the first hexadecimal digits of a SHA-256; the data are not in here.",
            },
        )
    )  # fmt: skip
    tool = crate.add(
        SoftwareApplication(
            crate, "#largebatch",
            properties={
                "name": "largebatch", "version": facts.get("largebatch", "unknown"),
                "softwareVersion": facts.get("largebatch", "unknown"),
                "softwareRequirements": json.dumps({name: facts.get(name) for name in ("python", "torch", "ray")}),
            },
        )
    )  # fmt: skip
    action = {
        "@type": "CreateAction", "name": f"largebatch run {study.name}", "instrument": tool,
        "object": [files["study.yaml"], data],
        "result": [file for name, file in files.items() if name != "study.yaml" and not name.startswith("code/")],
        **_start(facts.get("created")),
    }  # fmt: skip
    if people:
        action["agent"] = who
    crate.root_dataset["mentions"] = crate.add(ContextEntity(crate, "#run", properties=action))
    return crate


def _description(study: Study, target: Target, trials: Sequence[Trial], *, has_plan: bool) -> str:
    reached = sum(trial.reached for trial in trials)
    plan = "The answer is in plan.json." if has_plan else "It has no plan yet."
    return (
        f"Which batch size, learning rate and optimizer the task {study.task} needs on "
        f"{', '.join(map(str, study.workers))} workers to reach {target}, found with {len(trials)} trials, "
        f"of which {reached} reached it. {plan} `largebatch import` opens it."
    )


def _licence(crate: ROCrate, name: str | None) -> ContextEntity:
    if name is None:
        facts = {"name": "No licence was given", "description": "Ask the authors before you use it."}
        return crate.add(ContextEntity(crate, "#no-licence", properties={"@type": "CreativeWork", **facts}))
    facts = {"name": name, "description": f"The licence {name} of the SPDX list."}
    address = f"https://spdx.org/licenses/{name}"
    return crate.add(ContextEntity(crate, address, properties={"@type": "CreativeWork", **facts}))


def _file(crate: ROCrate, part: Part) -> DataEntity:
    with part.source.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    properties: dict[str, str | list[str]] = {
        "name": part.name, "description": part.what, "encodingFormat": part.media_type,
        "contentSize": str(part.source.stat().st_size), "sha256": digest,
    }  # fmt: skip
    if part.media_type == "text/x-python":
        properties["@type"] = ["File", "SoftwareSourceCode"]
    if part.version is not None:
        properties["version"] = part.version
    return crate.add_file(part.source, part.name, properties=properties)


def _start(created: str | None) -> dict[str, str]:
    """When the study was begun, as ISO 8601 has it, where its record can tell."""
    try:
        return {"startTime": datetime.strptime(created or "", "%Y-%m-%d %H:%M:%S %z").isoformat()}
    except ValueError:
        return {}
