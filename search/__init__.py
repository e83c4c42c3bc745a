"""What to try next, and what has been learned: searchers, laws, the plan."""
