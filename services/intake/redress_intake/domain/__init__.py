"""The pure core of intake: states, deciders and folds."""
