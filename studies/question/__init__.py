"""The question: a study, its file, what its names stand for, and the studies that ship."""
