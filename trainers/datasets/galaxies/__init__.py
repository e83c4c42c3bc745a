"""Spiral and elliptical galaxies: drawn ones, real ones, and what a classifier of them needs."""
