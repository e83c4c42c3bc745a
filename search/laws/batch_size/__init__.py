"""Laws of the batch size: steps to target and the best learning rate."""
