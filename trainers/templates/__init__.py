"""Tasks to begin with, which `largebatch new` copies; each runs as it is."""
