"""Saliency maps, their sanity checks, their association with terrain, and the effect of structure."""
