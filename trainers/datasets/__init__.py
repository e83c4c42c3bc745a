"""Data that ship or are prepared: images, galaxies, waveforms."""
