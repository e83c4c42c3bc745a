"""Layers that keep the examples of a pass apart."""
