-- Which clocks are to be started, settled or breached, and which are late. Python says what is in the rows: domain/lists.py. Instants are
-- epoch microseconds.

-- migrate:up
CREATE TABLE watches (
    subject text PRIMARY KEY,
    department text,
    to_start boolean NOT NULL,
    to_settle boolean NOT NULL,
    next_breach bigint,
    late_since bigint,
    area text
);
CREATE INDEX watches_to_start ON watches (subject) WHERE to_start;
CREATE INDEX watches_to_settle ON watches (subject) WHERE to_settle;
CREATE INDEX watches_next_breach ON watches (next_breach, subject) WHERE next_breach IS NOT NULL;
CREATE INDEX watches_late_since ON watches (late_since, subject) WHERE late_since IS NOT NULL;
-- The same lists for the handlers of one department.
CREATE INDEX watches_next_breach_of ON watches (department, next_breach, subject) WHERE next_breach IS NOT NULL;
CREATE INDEX watches_late_since_of ON watches (department, late_since, subject) WHERE late_since IS NOT NULL;
-- And for the agents of some areas. Every row has one; that the indexes say so keeps them from being read for the whole lists.
CREATE INDEX watches_next_breach_in ON watches (area, next_breach, subject) WHERE next_breach IS NOT NULL AND area IS NOT NULL;
CREATE INDEX watches_late_since_in ON watches (area, late_since, subject) WHERE late_since IS NOT NULL AND area IS NOT NULL;

-- migrate:down
DROP TABLE watches;
