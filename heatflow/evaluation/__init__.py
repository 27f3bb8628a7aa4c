"""Skill, its intervals, and the baselines that it is compared with."""
