"""Gravitational waves of merging black holes: their generator, parameters, data sets, noise and metrics."""
