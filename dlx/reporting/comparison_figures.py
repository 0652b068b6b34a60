"""The figures of a comparison of optimizers."""


def draw_comparison_pictures() -> list[str]:
    """Placeholder."""
    return []
