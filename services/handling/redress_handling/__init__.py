"""The department's work on a case."""
