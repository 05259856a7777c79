-- Nanoseconds since the epoch of a wall clock's date or time in São Paulo.
create or replace macro sao_paulo_ns(moment) as
    epoch_ns((moment::timestamp at time zone 'America/Sao_Paulo') at time zone 'UTC');
