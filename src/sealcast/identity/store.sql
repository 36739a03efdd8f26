-- What an authority remembers. What was issued, used or tried is never changed back or deleted: the
-- triggers hold that against every program that opens this file, this one included.
CREATE TABLE authority (
    only_one      INTEGER PRIMARY KEY CHECK (only_one = 1),
    trust_domain  TEXT    NOT NULL,
    made_at       INTEGER NOT NULL,
    root_pem      BLOB    NOT NULL
) STRICT;

CREATE TABLE issuers (
    serial     TEXT    PRIMARY KEY,
    side       TEXT    NOT NULL CHECK (side IN ('client', 'server')),
    not_after  INTEGER NOT NULL,
    pem        BLOB    NOT NULL,
    key_file   TEXT    NOT NULL,
    networks   TEXT    NOT NULL
) STRICT;

CREATE TABLE tokens (
    -- SHA-256 of the token: who reads this file cannot enrol with what stands in it.
    digest      BLOB    PRIMARY KEY CHECK (length(digest) = 32),
    name        TEXT    NOT NULL,
    profile     TEXT    NOT NULL,
    side        TEXT    NOT NULL,
    hosts       TEXT    NOT NULL,
    made_at     INTEGER NOT NULL,
    made_by     TEXT    NOT NULL,
    expires_at  INTEGER NOT NULL,
    used_at     INTEGER
) STRICT;

CREATE TABLE issued (
    serial      TEXT    PRIMARY KEY,
    issuer      TEXT    NOT NULL REFERENCES issuers (serial),
    name        TEXT    NOT NULL,
    uri         TEXT    NOT NULL,
    profile     TEXT    NOT NULL,
    side        TEXT    NOT NULL,
    hosts       TEXT    NOT NULL,
    not_before  INTEGER NOT NULL,
    not_after   INTEGER NOT NULL CHECK (not_after > not_before),
    issued_at   INTEGER NOT NULL,
    issued_by   TEXT    NOT NULL,
    -- One token, one certificate, however many ask at once.
    token       BLOB    UNIQUE REFERENCES tokens (digest),
    revoked_at  INTEGER,
    revoked_why TEXT,
    pem         BLOB    NOT NULL
) STRICT;
CREATE INDEX issued_by_name ON issued (name, not_after);

CREATE TABLE journal (
    number   INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    who      TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    profile  TEXT    NOT NULL,
    -- 'done' or a code. What was said beside it may hold what a person typed by mistake.
    outcome  TEXT    NOT NULL,
    serial   TEXT
) STRICT;

CREATE TRIGGER issued_is_kept BEFORE DELETE ON issued
BEGIN SELECT RAISE (ABORT, 'what was issued is kept'); END;
CREATE TRIGGER issued_is_as_it_was BEFORE UPDATE ON issued
WHEN OLD.revoked_at IS NOT NULL OR OLD.serial <> NEW.serial OR OLD.pem <> NEW.pem
  OR OLD.token IS NOT NEW.token OR OLD.name <> NEW.name OR OLD.not_after <> NEW.not_after
BEGIN SELECT RAISE (ABORT, 'what was issued is changed only by a revocation'); END;
CREATE TRIGGER tokens_are_kept BEFORE DELETE ON tokens
BEGIN SELECT RAISE (ABORT, 'tokens are kept'); END;
CREATE TRIGGER tokens_are_used_once BEFORE UPDATE ON tokens
WHEN OLD.used_at IS NOT NULL OR OLD.digest <> NEW.digest OR OLD.expires_at <> NEW.expires_at
  OR OLD.name <> NEW.name OR OLD.profile <> NEW.profile
BEGIN SELECT RAISE (ABORT, 'a token is used once'); END;
CREATE TRIGGER journal_is_kept BEFORE DELETE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is kept'); END;
CREATE TRIGGER journal_is_as_it_was BEFORE UPDATE ON journal
BEGIN SELECT RAISE (ABORT, 'the journal is kept'); END;
