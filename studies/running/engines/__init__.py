"""What runs the trials: the coordinator that decides, and the engines that ask it."""
