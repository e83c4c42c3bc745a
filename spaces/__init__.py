"""What may vary: domains, the space, the recipe (one point of it), rules, trial and measurement records."""
