-- The tables and indexes in which it finds what is due and what it lists. Python says what is in the rows: domain/lists.py. None yet.

-- migrate:up

-- migrate:down
