-- +goose Up
CREATE TABLE account (
    name    TEXT PRIMARY KEY,
    hash    TEXT    NOT NULL, -- argon2id, as a PHC string
    role    TEXT    NOT NULL,
    created INTEGER NOT NULL  -- nanoseconds since 1970
) WITHOUT ROWID;

CREATE TABLE session (
    token  TEXT PRIMARY KEY,
    data   BLOB    NOT NULL,
    expiry INTEGER NOT NULL -- nanoseconds since 1970
);
CREATE INDEX session_expiry ON session (expiry);

CREATE TABLE credential (
    site    TEXT NOT NULL,
    gateway TEXT NOT NULL,
    hash    BLOB NOT NULL, -- SHA-256 of the secret
    PRIMARY KEY (site, gateway)
) WITHOUT ROWID;
