"""Searches over settings, cross-validated: trials, cells, judgement."""
