"""Where a pixel, a tile and a coordinate are."""
