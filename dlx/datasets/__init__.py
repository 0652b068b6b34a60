"""Data sets, one source per file."""
