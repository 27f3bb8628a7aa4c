"""Predictions of any place of a region, and where they apply."""
