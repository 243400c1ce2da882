"""The pure core of sla-monitor: states, deciders and folds."""
