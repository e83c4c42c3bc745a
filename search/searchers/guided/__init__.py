"""The searcher that learns the laws while it searches."""
