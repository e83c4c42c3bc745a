"""Who may write a study directory: one process at a time, behind a fence."""
