-- Fencing in PostgreSQL: tables that take writes only from whoever holds the lock, by its token.
--
--   psql -f postgresql.sql                                        once, by the owner of the database
--   SELECT tenure_fence.protect('orders', 'billing');             rows of orders are written under the lock "billing"
--
--   BEGIN;                                                        a writer, in each transaction
--   SELECT tenure_fence.admit('billing', 90344);                  its token (TENURE_TOKEN, tenure_lock_token)
--   INSERT INTO orders …;
--   COMMIT;
--
-- admit refuses a token that is smaller than one that was admitted before, and keeps the row of its resource locked until the
-- transaction ends: so no greater token comes in between this check and the commit, and a greater one that waits for it sees all
-- that was written. A transaction that stands still holds it up: let writers set lock_timeout and
-- idle_in_transaction_session_timeout. A write to a protected table without admit in the same transaction is refused.
--
-- SQLSTATE of a refusal: TF001 a smaller token; TF002 no token in this transaction. Can be run again: it changes nothing that is
-- there. Removed by SELECT tenure_fence.unprotect('orders') and DROP SCHEMA tenure_fence CASCADE.

BEGIN;

CREATE SCHEMA IF NOT EXISTS tenure_fence;

CREATE TABLE IF NOT EXISTS tenure_fence.tokens (
    resource text PRIMARY KEY,
    token    bigint NOT NULL CHECK (token > 0),
    since    timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE tenure_fence.tokens IS 'the greatest token that has written, for each resource; never made smaller by hand';

-- Which transaction is admitted to what: told by the transaction''s own number, so that nothing of an earlier one is believed.
CREATE OR REPLACE FUNCTION tenure_fence.admit(of_resource text, with_token bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen bigint;
BEGIN
    IF of_resource IS NULL OR of_resource = '' OR with_token IS NULL OR with_token <= 0 THEN
        RAISE EXCEPTION 'tenure_fence.admit: expected a resource and a token from 1 on, got (%, %)', of_resource, with_token
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    INSERT INTO tenure_fence.tokens AS t (resource, token) VALUES (of_resource, with_token)
    ON CONFLICT (resource) DO UPDATE
        SET token = excluded.token,
            since = CASE WHEN t.token = excluded.token THEN t.since ELSE clock_timestamp() END
        WHERE t.token <= excluded.token
    RETURNING token INTO seen;
    IF seen IS NULL THEN
        SELECT token INTO seen FROM tenure_fence.tokens WHERE resource = of_resource;
        RAISE EXCEPTION 'fenced: % has seen token %, and % is smaller: somebody else holds the lock since then',
            of_resource, seen, with_token
            USING ERRCODE = 'TF001', HINT = 'This writer has lost its lock. Let it stop, and ask for the lock again.';
    END IF;
    PERFORM set_config('tenure_fence.admitted_' || md5(of_resource), pg_current_xact_id()::text, true);
    RETURN seen;
END
$$;
COMMENT ON FUNCTION tenure_fence.admit(text, bigint) IS 'lets this transaction write what is protected under the resource, unless a greater token was there';

CREATE OR REPLACE FUNCTION tenure_fence.check_admitted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(current_setting('tenure_fence.admitted_' || md5(TG_ARGV[0]), true), '') <> pg_current_xact_id()::text THEN
        RAISE EXCEPTION 'fenced: %.% is written under the lock %, and this transaction has shown no token',
            TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
            USING ERRCODE = 'TF002',
                  HINT = format('First, in this transaction: SELECT tenure_fence.admit(%L, <the token>);', TG_ARGV[0]);
    END IF;
    RETURN NULL;
END
$$;

-- Statement triggers: one check a statement, however many rows; TRUNCATE as well.
CREATE OR REPLACE FUNCTION tenure_fence.protect(which regclass, under_resource text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF under_resource IS NULL OR under_resource = '' THEN
        RAISE EXCEPTION 'tenure_fence.protect: expected a table and a resource' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM tenure_fence.unprotect(which);
    EXECUTE format('CREATE TRIGGER tenure_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s '
                   'FOR EACH STATEMENT EXECUTE FUNCTION tenure_fence.check_admitted(%L)', which, under_resource);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER tenure_fence', which);
END
$$;

CREATE OR REPLACE FUNCTION tenure_fence.unprotect(which regclass) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = which AND tgname = 'tenure_fence') THEN
        EXECUTE format('DROP TRIGGER tenure_fence ON %s', which);
    END IF;
END
$$;

REVOKE ALL ON FUNCTION tenure_fence.protect(regclass, text), tenure_fence.unprotect(regclass) FROM PUBLIC;
GRANT USAGE ON SCHEMA tenure_fence TO PUBLIC;
GRANT EXECUTE ON FUNCTION tenure_fence.admit(text, bigint) TO PUBLIC;

COMMIT;
