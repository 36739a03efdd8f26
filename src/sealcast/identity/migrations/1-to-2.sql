-- Version 2: several roots, one after the other; authorities that end; revoked tokens; revocation lists.
-- What this file says of version 2 stays as it is, whatever becomes of store.sql.
DROP TRIGGER issued_is_kept;
DROP TRIGGER issued_is_as_it_was;
DROP TRIGGER tokens_are_kept;
DROP TRIGGER tokens_are_used_once;
DROP INDEX issued_by_name;
ALTER TABLE authority RENAME TO authority_1;
ALTER TABLE issuers RENAME TO issuers_1;
ALTER TABLE tokens RENAME TO tokens_1;
ALTER TABLE issued RENAME TO issued_1;

CREATE TABLE authority (
    only_one      INTEGER PRIMARY KEY CHECK (only_one = 1),
    trust_domain  TEXT    NOT NULL,
    made_at       INTEGER NOT NULL
) STRICT;

-- An authority is in force from `since` on; from `until` on, set by a roll, it is trusted no more.
CREATE TABLE roots (
    serial     TEXT    PRIMARY KEY,
    not_after  INTEGER NOT NULL,
    pem        BLOB    NOT NULL,
    -- Where its key was when it was made; it may be elsewhere.
    key_file   TEXT    NOT NULL,
    made_at    INTEGER NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER
) STRICT;

CREATE TABLE issuers (
    serial     TEXT    PRIMARY KEY,
    root       TEXT    NOT NULL REFERENCES roots (serial),
    side       TEXT    NOT NULL CHECK (side IN ('client', 'server')),
    not_after  INTEGER NOT NULL,
    pem        BLOB    NOT NULL,
    key_file   TEXT    NOT NULL,
    networks   TEXT    NOT NULL,
    since      INTEGER NOT NULL,
    until      INTEGER,
    -- Why it ends: a reason of RFC 5280 by its name.
    why        TEXT    CHECK ((until IS NULL) = (why IS NULL))
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
    used_at     INTEGER,
    -- Its end was revoked before it was used.
    revoked_at  INTEGER
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
    revoked_why TEXT    CHECK ((revoked_at IS NULL) = (revoked_why IS NULL)),
    pem         BLOB    NOT NULL
) STRICT;
CREATE INDEX issued_by_name ON issued (name, not_after);
-- A running node asks again at every change.
CREATE INDEX issued_and_revoked ON issued (not_after) WHERE revoked_at IS NOT NULL;

-- The newest revocation list of each issuing authority. A root signs its lists ahead, while its key
-- is there: they are published from `made_at` on.
CREATE TABLE crls (
    issuer   TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    made_at  INTEGER NOT NULL,
    next_at  INTEGER NOT NULL CHECK (next_at > made_at),
    -- What it lists, by digest: a new one is made when that changed.
    lists    BLOB    NOT NULL CHECK (length(lists) = 32),
    der      BLOB    NOT NULL,
    PRIMARY KEY (issuer, number)
) STRICT;

-- The version before knew one root, whose list is signed when the root's key is there next.
INSERT INTO authority SELECT only_one, trust_domain, made_at FROM authority_1;
INSERT INTO roots SELECT serial_of(root_pem), not_after_of(root_pem), root_pem, 'root/root-key.pem',
    made_at, made_at, NULL FROM authority_1;
INSERT INTO issuers SELECT i.serial, r.serial, i.side, i.not_after, i.pem, i.key_file,
    networks_of(i.pem), r.made_at, NULL, NULL FROM issuers_1 AS i, roots AS r ORDER BY i.rowid;
INSERT INTO tokens SELECT *, NULL FROM tokens_1 ORDER BY rowid;
INSERT INTO issued SELECT * FROM issued_1 ORDER BY rowid;
DROP TABLE issued_1;
DROP TABLE tokens_1;
DROP TABLE issuers_1;
DROP TABLE authority_1;

CREATE TRIGGER issued_is_kept BEFORE DELETE ON issued
BEGIN SELECT RAISE (ABORT, 'what was issued is kept'); END;
CREATE TRIGGER issued_is_as_it_was BEFORE UPDATE ON issued
WHEN OLD.revoked_at IS NOT NULL OR OLD.serial <> NEW.serial OR OLD.pem <> NEW.pem
  OR OLD.token IS NOT NEW.token OR OLD.name <> NEW.name OR OLD.not_after <> NEW.not_after
BEGIN SELECT RAISE (ABORT, 'what was issued is changed only by a revocation'); END;
CREATE TRIGGER tokens_are_kept BEFORE DELETE ON tokens
BEGIN SELECT RAISE (ABORT, 'tokens are kept'); END;
CREATE TRIGGER tokens_are_used_once BEFORE UPDATE ON tokens
WHEN OLD.used_at IS NOT NULL OR OLD.revoked_at IS NOT NULL OR OLD.digest <> NEW.digest OR OLD.expires_at <> NEW.expires_at
  OR OLD.name <> NEW.name OR OLD.profile <> NEW.profile
BEGIN SELECT RAISE (ABORT, 'a token is used once'); END;
CREATE TRIGGER roots_are_kept BEFORE DELETE ON roots
BEGIN SELECT RAISE (ABORT, 'roots are kept'); END;
CREATE TRIGGER roots_end_no_later BEFORE UPDATE ON roots
WHEN OLD.serial <> NEW.serial OR OLD.pem <> NEW.pem OR NEW.until IS NULL OR NEW.until > OLD.until
BEGIN SELECT RAISE (ABORT, 'a root is changed only by its end'); END;
CREATE TRIGGER issuers_are_kept BEFORE DELETE ON issuers
BEGIN SELECT RAISE (ABORT, 'issuers are kept'); END;
CREATE TRIGGER issuers_end_no_later BEFORE UPDATE ON issuers
WHEN OLD.serial <> NEW.serial OR OLD.pem <> NEW.pem OR OLD.root <> NEW.root
  OR NEW.until IS NULL OR NEW.until > OLD.until
BEGIN SELECT RAISE (ABORT, 'an issuer is changed only by its end'); END;
CREATE TRIGGER crl_numbers_grow BEFORE INSERT ON crls
WHEN EXISTS (SELECT 1 FROM crls WHERE issuer = NEW.issuer AND number >= NEW.number)
BEGIN SELECT RAISE (ABORT, 'the numbers of revocation lists grow'); END;
CREATE TRIGGER crls_are_as_they_were BEFORE UPDATE ON crls
BEGIN SELECT RAISE (ABORT, 'a revocation list is followed by another one'); END;
