-- Administrators who log in with a password and a code. The file has mode 0600.
CREATE TABLE accounts (
    name        TEXT    PRIMARY KEY,
    -- Another one whenever password and secret are made anew: sessions of the old one end.
    epoch       TEXT    NOT NULL,
    made_at     INTEGER NOT NULL,
    -- The secret of the codes, under the password (sealcast.identity.passwords).
    passes      INTEGER NOT NULL,
    lanes       INTEGER NOT NULL,
    memory_kib  INTEGER NOT NULL,
    salt        BLOB    NOT NULL,
    nonce       BLOB    NOT NULL,
    box         BLOB    NOT NULL,
    -- The time step of the last code that was used: none up to it is taken again.
    last_step   INTEGER NOT NULL DEFAULT 0,
    wrong_codes INTEGER NOT NULL DEFAULT 0,
    rests_until INTEGER NOT NULL DEFAULT 0,
    last_login  INTEGER
) STRICT;
