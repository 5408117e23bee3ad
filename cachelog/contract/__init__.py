"""Schemas that every room of the house shares, and nothing else."""
