"""What operators ask for: verify, rebuild, adopt, restore the log."""
