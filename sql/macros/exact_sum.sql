-- The sum of a column of floats, rounded once at its end: the same in whatever order, threads and files its rows come.
-- Each times 2^80 is a whole number (of amounts below 1e-8 the rest below 1e-24 is cut off), and 128 bits hold their sum
-- up to 7e13. Larger sums, and those of what is no number, are of floats, as in `Lake.bars`.
create or replace macro exact_sum(amount) as
    case
        when abs(sum(amount)) < 2.0 ** 46 then nearest_double(
            -- whole amounts apart: sums that turn out to be larger would not fit into 128 bits, which is an error
            sum(trunc(amount))::hugeint * (2.0 ** 80)::hugeint
            + sum(try_cast(trunc((amount - trunc(amount)) * 2.0 ** 80) as hugeint))
        ) / 2.0 ** 80
        else coalesce(sum(amount), 0.0)
    end;
