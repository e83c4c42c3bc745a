"""The processes that train: a warm group of them, its mailbox, and one trial in it."""
