"""Pure numerics of samples and tables."""
