"""The studies that ship, as study files."""
