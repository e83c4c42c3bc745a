"""What this machine can do for a study, and what to mend: the checks of ``largebatch doctor``."""
