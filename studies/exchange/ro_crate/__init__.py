"""A study as one file that others can open, check and train from: an RO-Crate."""
