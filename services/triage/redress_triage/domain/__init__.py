"""The pure core of triage: states, deciders and folds."""
