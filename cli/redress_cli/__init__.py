"""The command line: start and watch the stack, submit complaints, read the log."""
