-- What acts of the store leave for the ledger to hear, each kept by the act itself until it is delivered; and the sessions that
-- a session came after in its browser, whose names tokens may still have.
create table owed (
    id     text   not null primary key,
    tenant text   not null references tenant (id),
    what   text   not null,
    at     bigint not null
);

create index owed_by_time on owed (at);

alter table browser_session add column earlier text not null default '[]';
