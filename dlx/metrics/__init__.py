"""Metrics: sums per batch and a closing formula."""
