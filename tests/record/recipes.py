"""A space, and a recipe of it, for ledgers."""

from largebatch.spaces.recipe import Recipe
from largebatch.spaces.space import Space

SPACE = Space.model_validate(
    {
        "global_batch_size": {"low": 16, "high": 64, "scale": "log2"},
        "learning_rate": {"low": 0.01, "high": 1.0, "scale": "log"},
        "optimizer": {"choices": ["sgd", "adamw"]},
        "beta2": {"low": 0.9, "high": 0.999, "scale": "log1m", "when": {"optimizer": ["adamw"]}},
    }
)
RECIPE = Recipe(optimizer="sgd", global_batch_size=32, learning_rate=0.1, seed=7)
