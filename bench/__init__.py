"""Measures cachelog beside its peers: `python -m bench` (needs the extra `bench`)."""
