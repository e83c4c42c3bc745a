"""Searchers that others devised, one file each."""
