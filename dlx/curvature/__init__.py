"""Curvature of a function around a point: eigenvalues of the Hessian, and what they say of steps."""
