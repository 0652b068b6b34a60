"""Models and activations, one model per file."""
