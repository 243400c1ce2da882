"""The pure core of callback: states, deciders and folds."""
