"""Gradient checks: backprop by hand, differences, what tells a wrong gradient from a right one, and planted faults."""
