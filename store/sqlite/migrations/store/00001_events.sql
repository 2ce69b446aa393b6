-- Times are nanoseconds since 1970, UTC. Rows of event and rollup are many and
-- short, so that sites, sensors and gates are numbers; 0 is the empty name.

-- +goose Up
CREATE TABLE name (
    id   INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE
);

-- An outbox of a gateway, and up to where it is settled.
CREATE TABLE stream (
    id      INTEGER PRIMARY KEY,
    site    INTEGER NOT NULL REFERENCES name,
    gateway TEXT    NOT NULL,
    epoch   TEXT    NOT NULL,
    acked   INTEGER NOT NULL,
    UNIQUE (site, gateway, epoch)
);

-- kind: 1 in, 2 out, 3 on, 4 off. The table itself is in the order in which it
-- is read; the unique index is what makes counting an event twice impossible.
CREATE TABLE event (
    site   INTEGER NOT NULL,
    time   INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    sensor INTEGER NOT NULL,
    kind   INTEGER NOT NULL,
    gate   INTEGER NOT NULL,
    PRIMARY KEY (site, time, stream, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX event_once ON event (stream, seq);

-- Passages of a gate in the quarter of an hour that begins at start.
CREATE TABLE rollup (
    site  INTEGER NOT NULL,
    start INTEGER NOT NULL,
    gate  INTEGER NOT NULL,
    n_in  INTEGER NOT NULL,
    n_out INTEGER NOT NULL,
    PRIMARY KEY (site, start, gate)
) WITHOUT ROWID;

-- Events that are kept but not counted. Their time and sensor may be anything
-- and are text.
CREATE TABLE set_aside (
    stream   INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    site     INTEGER NOT NULL,
    received INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    time     TEXT    NOT NULL,
    sensor   TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    gate     TEXT    NOT NULL,
    PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE INDEX set_aside_received ON set_aside (site, received);

CREATE TABLE loss (
    id      INTEGER PRIMARY KEY,
    site    INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    gateway TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    count   INTEGER NOT NULL
);
CREATE INDEX loss_at ON loss (site, at);

CREATE TABLE sample (
    site       INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    level      TEXT    NOT NULL,
    quality    TEXT    NOT NULL,
    onsite_low REAL NOT NULL, onsite_mid REAL NOT NULL, onsite_high REAL NOT NULL,
    queue_low  REAL NOT NULL, queue_mid  REAL NOT NULL, queue_high  REAL NOT NULL,
    wait_low   REAL NOT NULL, wait_mid   REAL NOT NULL, wait_high   REAL NOT NULL,
    at_least   INTEGER NOT NULL,
    entry_rate REAL NOT NULL,
    recounted  INTEGER, -- NULL without a recount
    PRIMARY KEY (site, at)
) WITHOUT ROWID;

-- data is packed by store.EncodeForecast.
CREATE TABLE forecast (
    id     INTEGER PRIMARY KEY,
    site   INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    data   BLOB    NOT NULL,
    UNIQUE (site, origin)
);

-- The audit log: rows are only ever added.
CREATE TABLE action (
    site     INTEGER NOT NULL,
    id       TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    by       TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    vehicles INTEGER NOT NULL,
    text     TEXT    NOT NULL, -- JSON object by language, or empty
    undoes   TEXT    NOT NULL,
    PRIMARY KEY (site, id)
) WITHOUT ROWID;
CREATE INDEX action_at ON action (site, at, id);
