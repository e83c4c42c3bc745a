"""Images a second and core of the reading path beside a bare decoder, on the same synthetic JPEGs.

    python benchmarks/images.py [--images 400] [--repeats 9]

The bare decoder is libjpeg-turbo (simplejpeg) and a resize to 224 pixels in a loop over bytes in memory, with
libjpeg-turbo's default settings and with the quicker ones that the reading path has. The reading path is what one
process of the loader does: seed, shuffled read from a shard, random crop, mirror, planes, collation in batches of 32.
Rounds are paired; the ratios' medians and ranges are printed, of CPU seconds, so that neighbours count little.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch

from largebatch.trainers.data.loader import Loader
from largebatch.trainers.datasets.images.image_shards import ImageShards
from largebatch.trainers.datasets.images.prepare import prepare_images

HEIGHT, WIDTH, SIZE, BATCH = 375, 500, 224, 32


def make_images(folder: Path, count: int) -> list[bytes]:
    """Smooth colours with noise, 500x375, about 56 KB each, in two classes."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(count):
        smooth = cv2.resize(rng.uniform(0, 255, (12, 16, 3)).astype(np.float32), (WIDTH, HEIGHT), interpolation=2)
        pixels = np.clip(smooth + rng.normal(0, 9, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        made.append(simplejpeg.encode_jpeg(pixels, quality=87, colorsubsampling="420"))
        path = folder / str(number % 2) / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made[-1])
    return made


def bare(images: list[bytes], *, quick: bool) -> None:
    for data in images:
        pixels = simplejpeg.decode_jpeg(data, "RGB", fastdct=quick, fastupsample=quick)
        cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)


def reading(loader: Loader, count: int) -> None:
    for start in range(0, count - BATCH + 1, BATCH):
        loader.take(loader.groups(start, BATCH, BATCH, 0, 1))


def rate(work: Callable[[], None], count: int) -> float:
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=9)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    count = asked.images // BATCH * BATCH
    with tempfile.TemporaryDirectory() as folder:
        images = make_images(Path(folder) / "source", count)
        prepare_images(Path(folder) / "source", Path(folder) / "shards", told=lambda *_: None)
        found: dict[str, list[float]] = {"bare": [], "bare, quick": [], "training": [], "validation": []}
        loaders = {
            name: Loader(
                ImageShards(Path(folder) / "shards" / "train", size=SIZE, training=name == "training"),
                seed=0, device=torch.device("cpu"), num_processes=0,
            )
            for name in ("training", "validation")
        }  # fmt: skip
        for _ in range(asked.repeats + 1):  # the first is to warm up
            found["bare"].append(rate(lambda: bare(images, quick=False), count))
            found["bare, quick"].append(rate(lambda: bare(images, quick=True), count))
            for name, loader in loaders.items():
                found[name].append(rate(lambda loader=loader: reading(loader, count), count))
    print(json.dumps(summary(found, images), indent=1))


def summary(found: dict[str, list[float]], images: list[bytes]) -> dict[str, object]:
    paired = {
        f"{name} / {base}": [one / other for one, other in zip(found[name][1:], found[base][1:], strict=True)]
        for name in ("training", "validation")
        for base in ("bare", "bare, quick")
    }
    return {
        "image_bytes": round(statistics.mean(map(len, images))),
        "images_per_second_and_core": {name: round(statistics.median(rates[1:])) for name, rates in found.items()},
        "ratio": {
            name: {
                "median": round(statistics.median(ratios), 3),
                "low": round(min(ratios), 3),
                "high": round(max(ratios), 3),
            }
            for name, ratios in paired.items()
        },
        "repeats": len(found["bare"]) - 1,
    }


if __name__ == "__main__":
    main()
