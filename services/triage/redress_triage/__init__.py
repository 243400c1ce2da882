"""Classifies complaints and routes them to a department."""
