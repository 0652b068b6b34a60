"""Figures and reports, from records and result.json alone."""
