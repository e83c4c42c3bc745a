"""The law of a step's seconds against workers and local batch."""
