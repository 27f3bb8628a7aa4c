"""Side-by-side measurements of what the pipeline's time goes into; `make bench` runs them all."""
