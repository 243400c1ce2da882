"""The journal and the states in PostgreSQL: decide, commit, fold, seal."""
