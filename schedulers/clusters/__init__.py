"""Cluster schedulers: what Slurm, PBS and LSF are asked for, and the program that they start on every node."""
