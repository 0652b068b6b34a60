"""YAML with positions, the schema, overrides and diagnostics."""
