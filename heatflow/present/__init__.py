"""Figures and the printed summary."""
