"""What a line says: one file a dialect."""
