"""The params, typed, and what follows from them."""
