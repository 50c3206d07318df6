"""Published measurements against predictions."""
