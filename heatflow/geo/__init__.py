"""Terrain, wells and tiles: numpy, rasterio and geopandas, never torch."""
