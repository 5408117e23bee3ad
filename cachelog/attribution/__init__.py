"""Which finding caused which."""
