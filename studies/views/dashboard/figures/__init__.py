"""Figures that the report does not have."""
