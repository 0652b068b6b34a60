"""M members, one matrix: layout, objective, replay, population, fit, stopping."""
