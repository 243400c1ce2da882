-- What is to be classified, and what waits for a person. Python says what is in the rows: domain/lists.py. Instants are epoch microseconds.

-- migrate:up
CREATE TABLE waiting (
    subject text PRIMARY KEY,
    to_classify boolean NOT NULL,
    review_since bigint,
    area text
);
CREATE INDEX waiting_to_classify ON waiting (subject) WHERE to_classify;
CREATE INDEX waiting_review_since ON waiting (review_since, subject) WHERE review_since IS NOT NULL;
-- The same list for the agents of some areas. Every row has one; that the index says so keeps it from being read for the whole list.
CREATE INDEX waiting_review_since_in ON waiting (area, review_since, subject) WHERE review_since IS NOT NULL AND area IS NOT NULL;

-- migrate:down
DROP TABLE waiting;
