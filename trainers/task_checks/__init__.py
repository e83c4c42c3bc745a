"""Proofs that a task is sound: what a study takes for granted, tried in three steps."""
