"""Which examples, in what order, on what scale."""
