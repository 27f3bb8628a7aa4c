"""Attack the stages and ``heatflow predict``, and count how they end."""
