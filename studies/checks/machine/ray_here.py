"""Ray's settings in this shell, and whatever Ray already runs on this node."""

import os
import pwd
import stat
from pathlib import Path

from largebatch.studies.checks.machine.finding import Finding, ok, problem, warning
from largebatch.studies.checks.machine.folders import temp_folder

PROCESSES = Path("/proc")
_NEW_TOKEN = "umask 077; mkdir -p ~/.ray; python -c 'import secrets; print(secrets.token_hex(32))' > ~/.ray/auth_token"


def authentication() -> Finding:
    """The mode must be named, for a head and its workers take different ones by default; a token is nobody else's."""
    mode = os.environ.get("RAY_AUTH_MODE")
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    if mode not in (None, "token", "disabled"):
        return problem("Ray's token", f"RAY_AUTH_MODE={mode}: token or disabled", "export RAY_AUTH_MODE=token")
    if mode == "disabled":
        measured = "RAY_AUTH_MODE=disabled: whoever reaches a port of a Ray started by hand runs code as you"
        return warning("Ray's token", measured, "export RAY_AUTH_MODE=token")
    if path.exists():
        readers = stat.S_IMODE(path.stat().st_mode)
        if readers & 0o077:
            return problem("Ray's token", f"{path} has mode {readers:04o}: others may read it", f"chmod 600 {path}")
        if not os.access(path, os.R_OK) or not path.read_text().strip():
            return problem("Ray's token", f"{path} cannot be read or is empty", _NEW_TOKEN)
        if mode is None and not os.environ.get("RAY_AUTH_TOKEN"):
            measured = f"RAY_AUTH_MODE is not set and {path} exists: a head asks for the token, workers do not send it"
            return warning("Ray's token", measured, "export RAY_AUTH_MODE=token")
    elif mode == "token" and not os.environ.get("RAY_AUTH_TOKEN"):
        return problem("Ray's token", f"RAY_AUTH_MODE=token and no token: {path} is not there", _NEW_TOKEN)
    if mode is None:
        return ok("Ray's token", "RAY_AUTH_MODE is not set; studies and `largebatch cluster` make a token of their own")
    return ok("Ray's token", "RAY_AUTH_MODE=token, a token that only you can read")


def other_rays() -> Finding:
    """A Ray that is not ours: `auto` may join it, and its folder of temporary files may keep ours from starting."""
    folder = temp_folder() / "ray"
    if folder.exists() and folder.stat().st_uid != os.geteuid() and not os.access(folder, os.W_OK):
        measured = f"{folder} belongs to {_name(folder.stat().st_uid)}: no Ray of yours can start"
        return problem("other Rays", measured, f"export RAY_TMPDIR=/tmp/{_name(os.geteuid())}; mkdir -p $RAY_TMPDIR")
    owners = [_name(owner) for owner in _owners_of_rays()]
    others = sorted({owner for owner in owners if owner != _name(os.geteuid())})
    address = os.environ.get("RAY_ADDRESS")
    if others:
        measured = f"a Ray of {', '.join(others)} runs on this node"
        return warning("other Rays", measured, "largebatch run STUDY   # without --address it starts one of its own")
    if address:
        return ok("other Rays", f"RAY_ADDRESS={address}: what `--address auto` joins")
    return ok("other Rays", f"{len(owners)} of yours run on this node" if owners else "none on this node")


def _owners_of_rays() -> list[int]:
    """The owner of every Ray on this node, of those that the system lets us see."""
    owners = []
    for process in PROCESSES.glob("[0-9]*"):
        try:
            program = (process / "cmdline").read_bytes().split(b"\0")[0]
            if program.endswith(b"/raylet"):
                owners.append(process.stat().st_uid)
        except OSError:  # ended meanwhile
            continue
    return owners


def _name(owner: int) -> str:
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return f"user {owner}"
