"""Nobody sends anything to sla-monitor: its clocks are read."""
