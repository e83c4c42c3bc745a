"""From laws to a plan: the recipe, time and cost at each number of workers, and the knee."""
