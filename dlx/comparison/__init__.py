"""Races of optimizers: how each is tuned, what is measured, and what may be said of it."""
