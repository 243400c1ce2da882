-- What is counted of the complaints that are open: a row for each, until it is closed. It is read whole. Python says what is in the rows:
-- domain/lists.py.

-- migrate:up
CREATE TABLE open_complaints (
    subject text PRIMARY KEY,
    department text,
    category text,
    stage text NOT NULL,
    received_at bigint NOT NULL
);

-- migrate:down
DROP TABLE open_complaints;
