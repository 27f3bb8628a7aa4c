"""Predictions of a whole region, and where they apply."""
