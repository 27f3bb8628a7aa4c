"""Learn geothermal heat-flow residuals from terrain.

`heatflow.run` opens a finished run in a notebook. The folders are rooms, one for each step: `heatflow.geo` for terrain,
wells and tiles, `heatflow.learning` for networks, `heatflow.evaluation`, `heatflow.explanation`, `heatflow.prediction`
and `heatflow.present`. Their functions take arrays, tables and the typed sections of `heatflow.config.schema`, and need
neither DVC nor params.yaml.
"""
