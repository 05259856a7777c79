-- One row per file and column that is not as the dataset's contract says: another type, missing, or unknown.
-- severity: error
-- Lists are told by their names alone.
create or replace view wrong_schema as
with held as (
    select distinct
        dataset,
        file,
        exchange,
        symbol,
        interval,
        name,
        case when name in ('bids', 'asks', 'broken') then null else kind end as kind
    from raw.file_columns
    where name not in ('list', 'element', 'item', 'array', 'bag', 'array_element')
        and not (dataset = 'orderbook_l2' and name in ('price', 'size'))
),

files as (
    select distinct dataset, file, exchange, symbol, interval
    from held
),

expected as (
    select
        files.*,
        contract.name,
        case when contract.name in ('bids', 'asks', 'broken') then null else contract.kind end as kind
    from files
    inner join raw.contracts as contract using (dataset)
),

compared as (
    select
        coalesce(expected.exchange, held.exchange) as exchange,
        coalesce(expected.symbol, held.symbol) as symbol,
        coalesce(expected.interval, held.interval) as interval,
        coalesce(expected.file, held.file) as file,
        coalesce(expected.name, held.name) as name,
        expected.name is not null as is_expected,
        held.name is not null as is_held,
        expected.kind as expected,
        held.kind as held
    from expected
    full join held
        on held.dataset = expected.dataset
        and held.file = expected.file
        and held.name = expected.name
)

select
    exchange,
    symbol,
    interval,
    null::bigint as ts,
    1::bigint as rows,
    case
        when not is_held then 'column ' || name || ' is missing'
        when not is_expected then 'column ' || name || coalesce(' (' || held || ')', '') || ' is unknown'
        else 'column ' || name || ' is ' || held || ', expected ' || expected
    end || ' in ' || file as detail
from compared
where is_held is distinct from is_expected or held is distinct from expected;
