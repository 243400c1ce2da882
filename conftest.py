"""Every test of the repository may ask for the real servers."""

pytest_plugins = ["redress_local.pytest_plugin"]
