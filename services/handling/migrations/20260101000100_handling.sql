-- What is due, and the lists that departments work from. Python says what is in them: domain/lists.py.

-- migrate:up
CREATE TABLE cases (
    subject text PRIMARY KEY,
    department text,
    stage text NOT NULL,
    to_do bigint,                               -- place in the list of what is to be done: more urgent first, then the oldest
    latest_end bigint,                          -- place in the list of what has ended: the latest first
    to_open boolean NOT NULL,
    to_cancel boolean NOT NULL
);
CREATE INDEX cases_to_open ON cases (subject) WHERE to_open;
CREATE INDEX cases_to_cancel ON cases (subject) WHERE to_cancel;
CREATE INDEX cases_to_do ON cases (to_do, subject) WHERE to_do IS NOT NULL;
CREATE INDEX cases_latest_end ON cases (latest_end, subject) WHERE latest_end IS NOT NULL;

-- migrate:down
DROP TABLE cases;
