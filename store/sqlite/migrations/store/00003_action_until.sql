-- A closure that ends by itself says when; 0 is never.

-- +goose Up
ALTER TABLE action ADD COLUMN until INTEGER NOT NULL DEFAULT 0;
