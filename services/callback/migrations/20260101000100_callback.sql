-- What is due, and the visits that agents work from. Python says what is in the rows: domain/lists.py. Instants are epoch microseconds.

-- migrate:up
CREATE TABLE visits (
    subject text PRIMARY KEY,
    to_schedule boolean NOT NULL,
    withdrawn boolean NOT NULL,
    give_up_at bigint,
    revision_due boolean NOT NULL,
    to_call bigint,
    area text
);
CREATE INDEX visits_to_schedule ON visits (subject) WHERE to_schedule;
CREATE INDEX visits_withdrawn ON visits (subject) WHERE withdrawn;
CREATE INDEX visits_give_up ON visits (give_up_at, subject) WHERE give_up_at IS NOT NULL;
CREATE INDEX visits_revision_due ON visits (subject) WHERE revision_due;
CREATE INDEX visits_to_call ON visits (to_call, subject) WHERE to_call IS NOT NULL;
-- The same list for the agents of some areas. Every row has one; that the index says so keeps it from being read for the whole list.
CREATE INDEX visits_to_call_in ON visits (area, to_call, subject) WHERE to_call IS NOT NULL AND area IS NOT NULL;

-- migrate:down
DROP TABLE visits;
