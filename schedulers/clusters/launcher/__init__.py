"""The program that a batch system starts on every node of a job; standard library alone, so that it starts at once."""
