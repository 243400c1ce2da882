-- Who wants to be told what becomes of it, and which complaints there is news of.

-- migrate:up
CREATE TABLE subscriptions (
    subject text PRIMARY KEY,
    subscriber text NOT NULL,
    subscribed_at bigint NOT NULL
);
CREATE INDEX subscriptions_subscriber ON subscriptions (subscriber, subscribed_at, subject);

-- A complaint that reached a stage, until somebody looked whom to tell. n: how often, so that what comes while
-- somebody looks is not taken for seen. It is derived: a rebuild fills it again, and messages are known by their ids.
CREATE TABLE stage_news (
    subject text PRIMARY KEY,
    n bigint NOT NULL DEFAULT 1
);
CREATE FUNCTION note_stage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO stage_news (subject) VALUES (NEW.subject) ON CONFLICT (subject) DO UPDATE SET n = stage_news.n + 1;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_stage AFTER INSERT ON entries FOR EACH ROW
    WHEN (NEW.list = 'stages') EXECUTE FUNCTION note_stage();

-- migrate:down
DROP TRIGGER entries_stage ON entries;
DROP FUNCTION note_stage;
DROP TABLE stage_news;
DROP TABLE subscriptions;
