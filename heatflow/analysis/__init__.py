"""What the trained networks are worth, and what they look at."""
