"""Priors on the weights: what turns maximum likelihood into MAP."""
