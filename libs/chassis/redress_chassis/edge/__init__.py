"""What each request passes first and last: its context, the limits, the trace, errors and logs."""
