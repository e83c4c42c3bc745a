"""Which examples make each step, and how they come to the device."""
