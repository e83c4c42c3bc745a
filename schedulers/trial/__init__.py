"""Which trial goes on: trial schedulers."""
