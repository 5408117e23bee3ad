"""One file a rule; the file name is the rule id with underscores."""
