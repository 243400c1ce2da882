-- Complaints are listed, the newest first: all, those of a channel, an area or a front end; open ones by their stage, from among the few that
-- are open. Python says what is in the rows: domain/lists.py.

-- migrate:up
ALTER TABLE complaints
    ADD COLUMN newest bigint NOT NULL DEFAULT 0,
    ADD COLUMN channel text NOT NULL DEFAULT '',
    ADD COLUMN area text NOT NULL DEFAULT '',
    ADD COLUMN client text;
CREATE INDEX complaints_newest ON complaints (newest, subject);
CREATE INDEX complaints_by_channel ON complaints (channel, newest, subject);
CREATE INDEX complaints_near ON complaints (area, newest, subject);
CREATE INDEX complaints_of_client ON complaints (client, newest, subject);
ALTER TABLE open_complaints
    ADD COLUMN newest bigint NOT NULL DEFAULT 0,
    ADD COLUMN channel text NOT NULL DEFAULT '',
    ADD COLUMN area text NOT NULL DEFAULT '',
    ADD COLUMN client text;
CREATE INDEX open_complaints_newest ON open_complaints (newest, subject);

-- migrate:down
ALTER TABLE open_complaints DROP COLUMN newest, DROP COLUMN channel, DROP COLUMN area, DROP COLUMN client;
ALTER TABLE complaints DROP COLUMN newest, DROP COLUMN channel, DROP COLUMN area, DROP COLUMN client;
