"""The tables of the journal."""

from __future__ import annotations

VERSION = 1

SCHEMA = """
create table session (
    name text primary key,
    value text not null               -- JSON
) strict;
create table decisions (
    id integer primary key,
    ts integer not null,              -- opening time of the bar at whose close it was taken
    symbol text not null,
    signal integer,
    target real,                      -- fraction of equity; null while the strategy warms up
    acted integer not null check (acted in (0, 1)),
    state text not null check (state in ('none', 'pending', 'sent', 'nothing', 'blocked')),
    reason text not null default '',
    unique (ts, symbol)
) strict;
create index decisions_pending on decisions (state) where state = 'pending';
create index decisions_acted on decisions (symbol, ts) where acted = 1;
create table orders (
    client_id text primary key,
    decided_ts integer not null,
    symbol text not null,
    side text not null check (side in ('buy', 'sell')),
    quantity text not null,           -- decimal
    reference text not null,          -- decimal
    target real not null,
    fill_ts integer not null,
    status text not null check (status in
        ('new', 'open', 'partial', 'filled', 'canceled', 'rejected', 'unknown')),
    created_ts integer not null
) strict;
create table order_events (
    id integer primary key,
    client_id text not null references orders (client_id),
    ts integer not null,
    event text not null,
    status text not null
) strict;
create table fills (
    id integer primary key,           -- in the order in which they changed the account
    client_id text not null unique references orders (client_id),
    ts integer not null,
    symbol text not null,
    side text not null,
    quantity text not null,           -- decimal
    price text not null,              -- decimal
    fee text not null,                -- decimal, in the quote currency
    slippage text not null            -- decimal, in the quote currency
) strict;
create table steps (
    symbol text primary key,
    ts integer not null,              -- the newest bar that was stepped through
    close real not null
) strict;
create table equity (
    ts integer primary key,
    equity real not null,
    cash real not null
) strict;
create table alerts (
    id integer primary key,
    ts integer not null,              -- the bar's opening time; 0 while no bar has come
    symbol text not null,
    rule text not null,
    reason text not null,
    unique (ts, symbol, rule)
) strict;
"""
