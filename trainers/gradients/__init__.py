"""What is done with gradients between backward pass and optimizer."""
