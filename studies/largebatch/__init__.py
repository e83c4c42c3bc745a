"""largebatch: search on the devices you have, learn the laws, predict the rest."""

__version__ = "0.1.0"
