-- The wall clock of São Paulo, its summer times until 2019 included, at nanoseconds since the epoch.
create or replace macro sao_paulo(ns) as
    (make_timestamp(ns // 1000) at time zone 'UTC') at time zone 'America/Sao_Paulo';
