"""The processes of a study, found by their parents."""

from pathlib import Path


def tree(pid: int) -> dict[int, str]:
    """``pid`` and all below it, with their command lines."""
    parents, words = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
                words[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
            except OSError:  # it has ended
                continue
            parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    found = {}
    for one in words:
        ancestor = one
        while ancestor in parents and ancestor != pid:
            ancestor = parents[ancestor]
        if ancestor == pid:
            found[one] = words[one]
    return found
