-- A complaint is found by its number, and no number is given twice. Open ones are listed with whoever has their next step. Python says what
-- is in the rows: domain/lists.py.

-- migrate:up
CREATE TABLE complaints (
    subject text PRIMARY KEY,
    number text NOT NULL,
    registered_at bigint NOT NULL,
    open_since bigint
);
CREATE UNIQUE INDEX complaints_number ON complaints (number);
CREATE INDEX complaints_open ON complaints (open_since, subject) WHERE open_since IS NOT NULL;

-- migrate:down
DROP TABLE complaints;
