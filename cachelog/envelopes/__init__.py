"""What wraps a line: one file an envelope."""
