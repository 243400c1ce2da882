-- What no two subjects have is found once: such rows have no place behind or before others.

-- migrate:up
CREATE UNIQUE INDEX lookups_once ON lookups (digest) WHERE place = 0;

-- migrate:down
DROP INDEX lookups_once;
