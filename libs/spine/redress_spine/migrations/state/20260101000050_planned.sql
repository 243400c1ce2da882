-- Rows whose effects were wanted already, as they were at this revision. (A rebuild wants all of them once more, and finds them by their keys.)

-- migrate:up
CREATE TABLE planned (
    reactor text NOT NULL,
    subject text NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (reactor, subject)
);

-- migrate:down
DROP TABLE planned;
