"""Train ``galaxies-small`` on drawn galaxies, then rank real ones: ``python benchmarks/galaxies/rank.py``.

Prints the area under the ROC curve of "is a spiral" with its 95 % interval, and the share of right answers. Needs
Debian's package ``stellarium-data``.
"""

import argparse

import torch
from auc_interval import auc_interval
from real_holdout import real_holdout

from largebatch.spaces.recipe import Recipe
from largebatch.trainers.task import load_task
from largebatch.trainers.training import Training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=100_000, help="drawn galaxies to train on")
    parser.add_argument("--global-batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    images, labels = real_holdout(32)
    recipe = Recipe(
        global_batch_size=asked.global_batch_size, learning_rate=asked.learning_rate, seed=asked.seed,
        weight_averaging="none",
    )  # fmt: skip
    task = load_task("galaxies-small", {})
    training = Training(task, recipe, max_examples=asked.examples, device=torch.device("cpu"))
    while training.examples + training.batch_size <= asked.examples:
        training.train_step()
    drawn = training.evaluate()["val_accuracy"]
    training.close()
    training.model.eval()
    with torch.no_grad():
        scores = training.model(images)
    area, low, high = auc_interval(scores[:, 1] - scores[:, 0], labels)
    right = (scores.argmax(1) == labels).double().mean().item()
    print(f"seed {asked.seed}: accuracy {drawn:.3f} on drawn galaxies after {training.examples:,} of them")
    print(f"{len(labels)} real galaxies: AUC {area:.2f} ({low:.2f} to {high:.2f}), {100 * right:.0f} % right")


if __name__ == "__main__":
    main()
