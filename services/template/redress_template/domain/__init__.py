"""The pure core of template: states, deciders and folds."""
