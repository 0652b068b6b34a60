"""argv, terminal, exit code."""
