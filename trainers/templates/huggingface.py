"""A task from a transformers model and datasets: replace config and data; nothing is downloaded."""

from typing import Any

import numpy as np
from datasets import Dataset
from sklearn.datasets import load_digits
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification

from largebatch import Target, Task, huggingface_task


def accuracy(output: Any, labels: Tensor) -> Tensor:
    """The mean over a batch, of what the model returns."""
    return (output.logits.argmax(dim=1) == labels).float().mean()


def task(width: int = 32) -> Task:
    """What the function takes may be searched, here as `task.width`."""
    images, labels = load_digits(return_X_y=True)
    pixels = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    config = ViTConfig(
        image_size=8, patch_size=4, num_channels=1, hidden_size=width, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=2 * width, num_labels=10,
    )  # fmt: skip
    return huggingface_task(
        lambda: ViTForImageClassification(config),
        Dataset.from_dict({"pixel_values": pixels[:1400], "labels": labels[:1400]}),
        Dataset.from_dict({"pixel_values": pixels[1400:], "labels": labels[1400:]}),
        target=Target(metric="val_accuracy", above=0.85),
        metrics={"val_accuracy": accuracy},
    )
