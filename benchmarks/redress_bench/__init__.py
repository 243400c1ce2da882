"""What is fast, against what: every figure of the system measured anew by `make bench`."""
