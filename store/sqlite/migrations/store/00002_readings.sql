-- What is remembered of devices that report counts instead of events.

-- +goose Up
CREATE TABLE reading (
    site    INTEGER NOT NULL,
    gateway TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    PRIMARY KEY (site, gateway)
) WITHOUT ROWID;
