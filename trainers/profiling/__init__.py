"""Timing of steps, and of the sums in them, on the devices at hand."""
