"""The laws: fitted functions with intervals and a verdict."""
