"""The record of a study: directory, lease, ledger, curves."""
