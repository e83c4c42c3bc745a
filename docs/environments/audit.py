"""What comes with us: the licence of every installed package that largebatch or one of its extras requires, and the
vulnerabilities that are known of all that is installed (pip-audit). A report: findings do not change the exit code.
Lower bounds of ours and the pins of constraints.txt are held to known-fixes.toml, which needs no service.

Licences are what a package says of itself. GPL and AGPL do not go with redistributing the whole under Apache-2.0; LGPL
and MPL do while the package stays apart, as with pip it does.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

HERE = Path(__file__).parent
STRONG = re.compile(r"\b(?:A?GPL|GNU (?:Affero )?General Public)", re.IGNORECASE)
WEAK = re.compile(r"\bLGPL|Lesser General Public|\bMPL|Mozilla", re.IGNORECASE)
SECONDS = 120
SHORT = {"Apache Software License": "Apache-2.0", "MIT License": "MIT", "BSD License": "BSD"}


def required(name: str, extras: tuple[str, ...] = ("",)) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What an installed package requires here, each with the extras that are asked of it."""
    for line in importlib.metadata.requires(name) or ():
        one = Requirement(line)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
            yield canonicalize_name(one.name), ("", *one.extras)


def brought(extras: tuple[str, ...]) -> tuple[dict[str, str], set[str]]:
    """Each package that these extras of ours bring and which package asks for it; and those that are not installed."""
    asked_by, missing, seen, waiting = {}, set(), set(), [("largebatch", extras)]
    while waiting:
        package, of_it = waiting.pop(0)
        for name, more in required(package, of_it):
            if name == "largebatch" or (name, more) in seen:
                continue
            seen.add((name, more))
            try:
                importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                missing.add(name)
                continue
            asked_by.setdefault(name, package)
            waiting.append((name, more))
    return asked_by, missing


def licence(name: str) -> str:
    """What a package says of its licence: its expression, else its classifiers, else the first line of its text."""
    metadata = importlib.metadata.metadata(name)
    classifiers = [one.split(" :: ") for one in metadata.get_all("Classifier") or ()]
    named = [SHORT.get(one[-1], one[-1]) for one in classifiers if one[0] == "License" and one[-1] != "OSI Approved"]
    first_line = (metadata.get("License") or "").strip().split("\n")[0]
    return metadata.get("License-Expression") or ", ".join(named) or first_line or "not stated"


def kind(text: str) -> str:
    """``strong`` or ``weak`` copyleft, ``unknown`` or ``permissive``; of alternatives the mildest counts."""
    kinds = [
        "strong" if STRONG.search(one) else "weak" if WEAK.search(one) else "permissive"
        for one in re.split(r"\s+OR\s+", text)
    ]
    if text == "not stated":
        return "unknown"
    return min(kinds, key=("permissive", "weak", "strong").index)


def report_licences() -> None:
    """First what every user gets, then what each extra adds."""
    extras = sorted(importlib.metadata.metadata("largebatch").get_all("Provides-Extra") or ())
    known: dict[str, str] = {}
    for extra in ("", *(one for one in extras if one != "dev")):
        asked_by, missing = brought(("",) if not extra else ("", extra))
        new = {name: by for name, by in asked_by.items() if name not in known}
        known |= new
        texts = {name: licence(name) for name in new}
        title = f"extra {extra}" if extra else "every installation"
        permissive = Counter(text for text in texts.values() if kind(text) == "permissive")
        print(f"licences, {title}: {len(new)} packages, {sum(permissive.values())} of them permissive")
        for name, text in sorted(texts.items()):
            if (found := kind(text)) != "permissive":
                mark = "ATTENTION, GPL: " if found == "strong" else ""
                print(f"  {mark}{name} ({text}), required by {new[name]}")
        if missing:
            print(f"  not installed here, so not read: {', '.join(sorted(missing))}")


def report_vulnerabilities() -> None:
    """What pip-audit finds, and loudly what it could not ask."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        print("\n".join(vulnerabilities(json.loads(done.stdout)["dependencies"])))
    except subprocess.TimeoutExpired:
        print(f"NOT AUDITED: pip-audit had no answer within {SECONDS} s")
    except ValueError:  # no JSON
        print(f"NOT AUDITED: pip-audit could not ask: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}")


def report_bounds() -> None:
    """Where our bounds or pins let in what known-fixes.toml warns of."""
    known = tomllib.loads((HERE / "known-fixes.toml").read_text())
    pins = [line for line in (HERE / "constraints.txt").read_text().splitlines() if "==" in line]
    found = [*below_fixes(importlib.metadata.requires("largebatch") or (), known), *below_fixes(pins, known)]
    print("\n".join(found))
    print(f"bounds and pins: {len(found)} let in one of the {len(known['fix'])} known faults or a malicious release")


def below_fixes(requirements: Sequence[str], known: Mapping[str, Any]) -> Iterator[str]:
    """Lines on requirements that allow a version older than a fix, or a malicious release."""
    for one in sorted({(canonicalize_name(one.name), str(one.specifier)) for one in map(Requirement, requirements)}):
        name, allowed = one[0], SpecifierSet(one[1])
        lowest = min((Version(part.version) for part in allowed if part.operator in (">=", "==")), default=None)
        for fix in known["fix"]:
            if fix["package"] == name and (lowest is None or lowest < Version(fix["fixed"])):
                yield f"FLOOR BELOW A FIX: {name}{allowed}: {fix['id']}, fixed in {fix['fixed']} ({fix['source']})"
        for bad in known["malicious"]:
            let_in = [version for version in bad["versions"] if name in bad["packages"] and allowed.contains(version)]
            if let_in:
                yield f"MALICIOUS RELEASE ALLOWED: {name} {', '.join(let_in)}: {bad['id']} ({bad['source']})"


def vulnerabilities(audited: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines on what pip-audit says of each package."""
    packages = [one for one in audited if one["name"] != "largebatch"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    if skipped:
        some = ", ".join(skipped[:5]) + (", .." if len(skipped) > 5 else "")
        yield f"NOT AUDITED: {len(skipped)} of {len(packages)} packages, of which the service said nothing ({some})"
    found = [(one, flaw) for one in packages for flaw in one.get("vulns", ())]
    for one, flaw in found:
        fixed = ", ".join(flaw["fix_versions"]) or "no release yet"
        yield f"VULNERABLE: {one['name']} {one['version']}: {flaw['id']}, fixed in {fixed}"
    yield f"vulnerabilities: {len(found)} known in {len(packages) - len(skipped)} packages that were audited"


if __name__ == "__main__":
    report_bounds()
    report_licences()
    report_vulnerabilities()
