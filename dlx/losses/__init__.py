"""Losses, one per file, each the negative log-likelihood of a named distribution."""
