-- A gateway may have several credentials for a while: the one in use and the
-- ones that are to replace it.

-- +goose Up
CREATE TABLE credentials (
    site        TEXT    NOT NULL,
    gateway     TEXT    NOT NULL,
    hash        BLOB    NOT NULL, -- SHA-256 of the secret
    certificate BLOB,             -- SHA-256 of the client certificate; NULL when none is asked for
    ends        INTEGER,          -- of the certificate, nanoseconds since 1970
    created     INTEGER NOT NULL, -- nanoseconds since 1970, larger than that of every older one
    until       INTEGER,          -- refused from then on; NULL for never
    PRIMARY KEY (site, gateway, hash)
) WITHOUT ROWID;
INSERT INTO credentials (site, gateway, hash, created) SELECT site, gateway, hash, 0 FROM credential;
DROP TABLE credential;
