-- Acts that every owner should know of. They are shown for a while; the ledger has them for good.
create table alarm (
    at     bigint not null,
    kind   text   not null check (kind in ('owner-link', 'glass-broken')),
    tenant text   not null references tenant (id),
    login  text   not null,
    actor  text   not null
);

create index alarm_by_time on alarm (at);
