"""Data sets of encoded images: from where they come, the shards that they become, how they are read."""
