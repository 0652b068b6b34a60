"""Surfaces: functions of a few variables whose minima are known, one per file."""
