-- The ledger itself. Every other table of the database is a projection that can be rebuilt from these.

CREATE TABLE entries (
    seq   INTEGER PRIMARY KEY,  -- 1, 2, 3 ... without a gap
    at    TEXT NOT NULL,        -- UTC, milliseconds; this and the next three columns repeat values of body
    op_id TEXT,
    kind  TEXT NOT NULL,
    phase TEXT,
    body  BLOB NOT NULL,        -- canonical JSON: the bytes that are hashed
    prev  TEXT NOT NULL,
    hash  TEXT NOT NULL         -- sha256("ouro-ledger-1\n" + prev + "\n" + body), hex
);
CREATE INDEX entries_by_op ON entries (op_id, seq) WHERE op_id IS NOT NULL;
CREATE INDEX entries_by_kind ON entries (kind, seq);

CREATE TABLE blobs (
    sha256 TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    data   BLOB NOT NULL
) WITHOUT ROWID;

-- One row: genesis and head of the chain. Updated in the transaction that appends, so that rows cut off at the end are
-- noticed.
CREATE TABLE chain (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    genesis TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    hash    TEXT NOT NULL
);

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

-- INSERT OR REPLACE would delete without firing the trigger above, so only the next entry may be inserted.
CREATE TRIGGER entries_next_only BEFORE INSERT ON entries
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entries)
BEGIN SELECT RAISE(ABORT, 'the ledger only takes the next entry'); END;

CREATE TRIGGER blobs_no_update BEFORE UPDATE ON blobs
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER blobs_no_delete BEFORE DELETE ON blobs
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER blobs_new_only BEFORE INSERT ON blobs
WHEN EXISTS (SELECT 1 FROM blobs WHERE sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TRIGGER chain_one_row BEFORE DELETE ON chain
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
