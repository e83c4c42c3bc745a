"""largebatch."""
