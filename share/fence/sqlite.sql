-- Fencing in SQLite: tables that take writes only from whoever holds the lock, by its token.
--
--   sqlite3 app.db < sqlite.sql                                   once
--
-- For each table that is written under a lock, these three (here: orders, under the lock "billing"):
--
--   CREATE TRIGGER orders_fence_insert BEFORE INSERT ON orders
--     BEGIN SELECT RAISE(ABORT, 'fenced: orders: show a token first') WHERE NOT EXISTS
--       (SELECT 1 FROM tenure_fence_admitted WHERE resource = 'billing'); END;
--   … the same BEFORE UPDATE, and BEFORE DELETE. `tenure fence script sqlite --table orders --resource billing` prints them.
--
--   BEGIN IMMEDIATE;                                              a writer, in each transaction
--   INSERT INTO tenure_fence_admit VALUES ('billing', 90344);     its token (TENURE_TOKEN, tenure_lock_token)
--   INSERT INTO orders …;
--   DELETE FROM tenure_fence_admitted;                            so that the next one has to show its own
--   COMMIT;
--
-- SQLite lets one transaction write at a time, so nothing comes between the check and the commit. A smaller token ends the statement
-- with "fenced: …" (SQLITE_CONSTRAINT_TRIGGER); roll back then. Can be run again: it changes nothing that is there.

CREATE TABLE IF NOT EXISTS tenure_fence (
    resource TEXT PRIMARY KEY NOT NULL,
    token    INTEGER NOT NULL CHECK (typeof(token) = 'integer' AND token > 0)
) WITHOUT ROWID;

-- Filled and emptied within one transaction, so nobody else ever sees a row of it; what a program forgets to empty is emptied by the
-- next one that shows a token.
CREATE TABLE IF NOT EXISTS tenure_fence_admitted (resource TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS tenure_fence_admit (resource, token) AS SELECT resource, token FROM tenure_fence;

CREATE TRIGGER IF NOT EXISTS tenure_fence_check INSTEAD OF INSERT ON tenure_fence_admit
BEGIN
    SELECT RAISE(ABORT, 'fenced: expected a resource and a token from 1 on')
        WHERE NEW.resource IS NULL OR typeof(NEW.token) <> 'integer' OR NEW.token <= 0;
    SELECT RAISE(ABORT, 'fenced: a greater token was there: somebody else holds the lock since then')
        WHERE EXISTS (SELECT 1 FROM tenure_fence WHERE resource = NEW.resource AND token > NEW.token);
    INSERT INTO tenure_fence VALUES (NEW.resource, NEW.token)
        ON CONFLICT (resource) DO UPDATE SET token = excluded.token;
    DELETE FROM tenure_fence_admitted;
    INSERT INTO tenure_fence_admitted VALUES (NEW.resource);
END;
