"""Tasks from code that was written for other trainers, one file each."""
