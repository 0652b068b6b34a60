"""Run directories, checkpoints, provenance."""
