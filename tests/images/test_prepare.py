"""Shards are whole or not there; what is finished is kept, what is damaged is found."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from largebatch.spaces.errors import UserError
from largebatch.trainers.datasets.images.image_shards import ImageShards
from largebatch.trainers.datasets.images.manifest import MANIFEST, PROGRESS, Manifest
from largebatch.trainers.datasets.images.prepare import prepare_images, verify_images

Told = Callable[[str, int, int], None]


def tree_bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def test_the_shards_do_not_depend_on_processes(tree: Path, tmp_path: Path, told: Told) -> None:
    one = prepare_images(tree, tmp_path / "one", told=told, rows_per_shard=16)
    two = prepare_images(tree, tmp_path / "two", told=told, rows_per_shard=16, num_processes=2)
    assert one == two
    assert tree_bytes(tmp_path / "one") == tree_bytes(tmp_path / "two")
    assert [shard.num_rows for shard in one["train"].shards] == [16] * 7 + [8]
    assert one["train"] == Manifest.read(tmp_path / "one" / "train")
    assert not (tmp_path / "one" / "train" / PROGRESS).exists()
    assert verify_images(tmp_path / "two", told=told, num_processes=2) == two


def test_an_interrupted_preparation_goes_on(tree: Path, tmp_path: Path, told: Told) -> None:
    """Stopped after the second shard, with a half-written line and a half-written file left behind."""

    def stop(split: str, done: int, total: int) -> None:
        if done >= 80:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        prepare_images(tree, out, told=stop, rows_per_shard=40)
    folder = out / "train"
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.arrow")}
    assert sorted(kept) == ["shard-00000.arrow", "shard-00001.arrow"]
    assert not (folder / MANIFEST).exists()
    with (folder / PROGRESS).open("a") as file:
        file.write('{"file": "shard-0000')
    (folder / ".shard-00002.arrow.1.tmp").write_bytes(b"half")
    with pytest.raises(UserError, match="holds no finished image shards"):
        ImageShards(folder, size=32, training=True)
    made = prepare_images(tree, out, told=told, rows_per_shard=40)
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    assert not list(folder.glob(".*.tmp"))
    assert made == prepare_images(tree, tmp_path / "at-once", told=told, rows_per_shard=40)


def test_a_name_of_a_latin_1_disk(tree: Path, tmp_path: Path, told: Told) -> None:
    broken = tree / "train" / "ant" / "caf\udce9.jpeg"
    broken.write_bytes(b"no image")
    made = prepare_images(tree, tmp_path / "out", told=told)
    assert [one.name.endswith(r"ant/caf\xe9.jpeg") for one in made["train"].unreadable] == [True]


def test_damage_is_found_and_mended(tree: Path, tmp_path: Path, told: Told) -> None:
    out = tmp_path / "out"
    prepare_images(tree, out, told=told, rows_per_shard=40)
    before = tree_bytes(out)
    changed, cut = out / "train" / "shard-00000.arrow", out / "train" / "shard-00002.arrow"
    changed.write_bytes(changed.read_bytes()[:2000] + b"!" + changed.read_bytes()[2001:])
    ImageShards(out / "train", size=32, training=True)  # sizes are right
    with pytest.raises(UserError, match=r"shard-00000\.arrow is missing or changed .* largebatch prepare images SRC"):
        verify_images(out, told=told)
    cut.write_bytes(cut.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"shard-00002\.arrow must have [\d,]+ bytes; it has [\d,]+; "):
        ImageShards(out / "train", size=32, training=True)
    with pytest.raises(UserError, match=r"shard-00000\.arrow, .*shard-00002\.arrow are missing or changed"):
        verify_images(out, told=told)
    prepare_images(tree, out, told=told, rows_per_shard=40)
    assert tree_bytes(out) == before
    cut.unlink()
    with pytest.raises(UserError, match=r"shard-00002\.arrow is missing"):
        ImageShards(out / "train", size=32, training=True)


def test_unreadable_images_are_left_out_and_reported(tree: Path, tmp_path: Path, told: Told) -> None:
    bad = {
        "ant/1.jpeg": (tree / "train/ant/1.jpeg").read_bytes()[:400],
        "bee/2.jpeg": b"no image",
        "cat/5.png": (tree / "train/cat/5.png").read_bytes()[:60],
        "cat/6.jpeg": b"",
    }
    for name, data in bad.items():
        (tree / "train" / name).write_bytes(data)
    made = prepare_images(tree, tmp_path / "out", told=told)["train"]
    assert made.num_images == 116
    assert {one.name: one.label for one in made.unreadable} == {
        str(tree / "train" / name): ("ant", "bee", "cat").index(name[:3]) for name in bad
    }
    assert all(one.reason for one in made.unreadable)
    data = ImageShards(tmp_path / "out" / "train", size=32, training=False)
    assert sorted(label for _, label in (data[index] for index in range(len(data)))) == [0] * 39 + [1] * 39 + [2] * 38
    for path in (tree / "train" / "bee").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(UserError, match=r"every image of class 'bee' of train is unreadable, as .*no known image"):
        prepare_images(tree, tmp_path / "other", told=told)


def test_another_source_does_not_mix(tree: Path, tmp_path: Path, told: Told) -> None:
    prepare_images(tree, tmp_path / "out", told=told)
    with pytest.raises(UserError, match=r"of another source or of other settings \(size\); choose another --out"):
        prepare_images(tree, tmp_path / "out", told=told, size=32)
    (tree / "train" / "ant" / "1.jpeg").unlink()
    with pytest.raises(UserError, match=r"\(digest\)"):
        prepare_images(tree, tmp_path / "out", told=told)
    moved = tree.rename(tmp_path / "moved")
    assert prepare_images(moved, tmp_path / "new", told=told)["train"].num_images == 119


def test_large_images_are_shrunk(tree: Path, tmp_path: Path, told: Told, encode: Callable[..., bytes]) -> None:
    (tree / "train" / "ant" / "1.jpeg").write_bytes(encode(1, "JPEG", 400, 300))
    small = prepare_images(tree, tmp_path / "small", told=told, size=64)["train"]
    whole = prepare_images(tree, tmp_path / "whole", told=told)["train"]
    assert small.num_images == whole.num_images == 120
    assert small.num_bytes < whole.num_bytes
    assert small.fingerprint != whole.fingerprint


def test_a_full_disk_is_one_sentence_and_leaves_nothing_half(tree: Path, tmp_path: Path) -> None:
    """A limit on the size of a file stands for the disk: the system refuses the write in the same way."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "largebatch", "prepare", "images", str(tree), "--out", str(out)]
    for processes in ("1", "2"):
        result = subprocess.run(
            [*command, "--processes", processes], capture_output=True, text=True, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        )  # fmt: skip
        assert result.returncode == 2, result.stderr
        assert "shard-00000.arrow cannot be written: File too large; make room or choose" in result.stderr
        assert "Traceback" not in result.stderr
        assert [path.name for path in (out / "train").iterdir()] == [PROGRESS]
    result = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout)["splits"]["train"]["images"] == 120


def test_the_command(tree: Path, tmp_path: Path) -> None:
    def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "largebatch", "prepare", "images", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=tmp_path)

    (tree / "train" / "ant" / "1.jpeg").write_bytes(b"no image")
    made = command(tree, "--out", "shards", "--processes", "1")
    assert made.returncode == 0, made.stderr
    assert "shards/train: 119 images of 3 classes, 1 shards, " in made.stdout
    assert "1.jpeg: no known image format" in made.stdout
    verified = json.loads(command("--out", "shards", "--verify", "--json").stdout)
    assert verified["splits"]["val"]["images"] == 12
    assert [one["reason"] for one in verified["splits"]["train"]["unreadable"]] == ["no known image format"]
    for wrong, said in (
        (("--out", "shards"), "SRC must be given, or --verify"),
        (("nowhere", "--out", "x"), "nowhere does not exist"),
        (("--out", "x", "--verify"), "x holds no finished image shards"),
    ):
        refused = command(*wrong)
        assert (refused.returncode, said in refused.stderr, refused.stdout) == (2, True, ""), refused.stderr
