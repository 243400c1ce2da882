-- Which master key wraps data keys, from its first exchange on (`redress keys rewrap`); until then there is no row, and the first one does.

-- migrate:up
CREATE TABLE master_key (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    root bytea NOT NULL,                        -- what digests and the audit trail's MACs are derived from: it stays, and is wrapped anew
    current int NOT NULL,                       -- number of the master key that wraps what is new
    oldest int NOT NULL CHECK (oldest <= current), -- number of the oldest one that may still be needed here
    unsent boolean NOT NULL DEFAULT false       -- keys were wrapped anew, and have still to be sent to the topic of keys
);

-- migrate:down
DROP TABLE master_key;
