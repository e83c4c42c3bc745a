"""What the dashboard knows of studies that other processes write."""
