"""Calendars, policies and clocks: what is due, and what is late."""
