"""Ledgers in a database."""
