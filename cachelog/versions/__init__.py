"""The order of version labels."""
