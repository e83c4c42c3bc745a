"""The optimizers of a recipe."""
