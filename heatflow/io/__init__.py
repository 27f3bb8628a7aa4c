"""Files: those that flow between stages, and those that strangers made."""
