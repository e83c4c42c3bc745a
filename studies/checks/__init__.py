"""Whether a study and a machine are fit to begin."""
