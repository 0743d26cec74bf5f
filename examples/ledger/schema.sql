-- The ledger's tables. Run by the owner of the database, behind the script that Tenure brings:
--
--   tenure fence script postgresql | psql ledger
--   psql ledger -f schema.sql
--
-- Can be run again: it changes nothing that is there.

CREATE TABLE IF NOT EXISTS accounts (
    name    text PRIMARY KEY,
    opening bigint NOT NULL,                        -- what it began with; for whoever checks the books
    balance bigint NOT NULL
);

CREATE TABLE IF NOT EXISTS bookings (
    id      text PRIMARY KEY,                       -- the client's: a booking that is sent twice is booked once
    seq     bigserial,
    payer   text NOT NULL REFERENCES accounts,
    payee   text NOT NULL REFERENCES accounts,
    amount  bigint NOT NULL CHECK (amount > 0),
    fee     bigint NOT NULL CHECK (fee >= 0),       -- paid by the payer, on top, to the account "fees"
    rules   bigint NOT NULL,                        -- the configuration's revision by which it was decided
    token   bigint NOT NULL,                        -- the leader's who wrote it
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Accounts to play with. (Not yet behind the fence, when they are made.)
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM accounts) THEN
        INSERT INTO accounts SELECT 'account-' || n, 1000000, 1000000 FROM generate_series(1, 20) AS n;
        INSERT INTO accounts VALUES ('fees', 0, 0);
    END IF;
END
$$;

-- From here on nothing writes them without a token, or with a smaller one than was seen before.
SELECT tenure_fence.protect('accounts', 'ledger');
SELECT tenure_fence.protect('bookings', 'ledger');
