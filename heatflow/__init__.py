"""Learn geothermal heat-flow residuals from terrain."""
