-- Whether bars of a finer interval make up bars of a coarser one exactly.
create or replace macro divides(finer, coarser) as
    case
        when finer = '1M' then false
        when coarser = '1M' then 86400000000000 % step_ns(finer) = 0
        when step_ns(finer) >= step_ns(coarser) or step_ns(coarser) % step_ns(finer) <> 0 then false
        when right(coarser, 1) = 'w' then
            right(finer, 1) = 'w' or 345600000000000 % step_ns(finer) = 0
        else right(finer, 1) <> 'w' or 345600000000000 % step_ns(finer) = 0
    end;
