"""A running study: the coordinator, its engines, and the jobs that join it."""
