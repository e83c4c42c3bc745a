"""Copies of a study's measurements for other people's tools; the record stays the one source."""
