"""The pure core of handling: states, deciders and folds."""
