"""The synthetic region that the default run learns from."""
