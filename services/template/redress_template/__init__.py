"""Template: what it knows of a complaint, and shows."""
