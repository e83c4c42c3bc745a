"""Averages of the weights, evaluated in their place."""
