"""How one training runs: tasks, models, the loop, virtual workers, optimizers, schedules, the warm worker group."""
