"""One straight-line recipe per command."""
