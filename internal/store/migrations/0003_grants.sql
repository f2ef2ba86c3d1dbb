-- Why a passkey is suspended, and who was the first to speak for a recovery.
alter table passkey add column suspended_why text not null default '' check (suspended_why in ('', 'counter', 'recovery'));
update passkey set suspended_why = 'counter' where suspended_at is not null;
alter table recovery add column first_by text not null default '';

create index browser_session_by_use on browser_session (seen_at);
create index enrolment_by_expiry on enrolment (expires_at);

-- Clients that people sign in to. A client may have no way to authenticate, which the check on auth did not know; it can't
-- be changed in place, so the tables are made again with what they had.
create table new_client (
    tenant          text   not null references tenant (id),
    id              text   not null check (length(id) between 1 and 63 and id = lower(id)),
    name            text   not null,
    type            text   not null default 'service' check (type in ('service', 'web', 'native', 'spa')),
    grants          text   not null,
    auth            text   not null check (auth in ('client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none')),
    key_set         text   not null check ((key_set <> '') = (auth = 'private_key_jwt')),
    redirect_uris   text   not null default '[]',
    logout_uris     text   not null default '[]',
    dpop            text   not null default 'offered' check (dpop in ('required', 'offered')),
    dpop_reason     text   not null default '',
    trusted         bigint not null default 0 check (trusted in (0, 1)),
    claims          text   not null,
    lifetime_ms     bigint not null check (lifetime_ms > 0),
    rate_per_second bigint not null check (rate_per_second > 0),
    created_at      bigint not null,
    disabled_at     bigint,
    primary key (tenant, id),
    check ((auth = 'none') = (type in ('native', 'spa')))
);

insert into new_client (tenant, id, name, grants, auth, key_set, claims, lifetime_ms, rate_per_second, created_at, disabled_at)
    select tenant, id, name, grants, auth, key_set, claims, lifetime_ms, rate_per_second, created_at, disabled_at from client;

create table new_client_access (
    tenant text not null,
    client text not null,
    api    text not null,
    scopes text not null,
    primary key (tenant, client, api),
    foreign key (tenant, client) references new_client (tenant, id),
    foreign key (tenant, api) references api (tenant, id)
);

insert into new_client_access select tenant, client, api, scopes from client_access;

create table new_client_secret (
    hash       bytea  not null primary key check (length(hash) = 32),
    tenant     text   not null,
    client     text   not null,
    created_at bigint not null,
    expires_at bigint,
    foreign key (tenant, client) references new_client (tenant, id)
);

insert into new_client_secret select hash, tenant, client, created_at, expires_at from client_secret;

drop table client_secret;
drop table client_access;
drop table client;
alter table new_client rename to client;
alter table new_client_access rename to client_access;
alter table new_client_secret rename to client_secret;
create index client_secret_by_client on client_secret (tenant, client);

-- What people have agreed to: consents, authorization codes, and the families of refresh tokens.

-- Authorization codes by their hash. A row stays for a while after it was redeemed, with what it gave.
create table code (
    hash         bytea  not null primary key check (length(hash) = 32),
    tenant       text   not null,
    client       text   not null,
    person       text   not null,
    session      text   not null,
    passkey      bytea  not null,
    redirect_uri text   not null check (redirect_uri <> ''),
    challenge    text   not null check (length(challenge) = 43),
    nonce        text   not null,
    jkt          text   not null,
    scope        text   not null,
    resources    text   not null,
    signed_in_at bigint not null,
    acr          text   not null,
    amr          text   not null,
    issued_at    bigint not null,
    expires_at   bigint not null,
    forget_at    bigint not null,
    redeemed_at  bigint,
    gave         text   not null default '{}',
    family       text   not null default '',
    foreign key (tenant, client) references client (tenant, id),
    foreign key (tenant, person) references person (tenant, id)
);

create index code_by_time on code (forget_at);
create index code_by_person on code (tenant, person);

create table consent (
    tenant     text   not null,
    person     text   not null,
    client     text   not null,
    terms      text   not null,
    given_at   bigint not null,
    changed_at bigint not null,
    primary key (tenant, person, client),
    foreign key (tenant, client) references client (tenant, id),
    foreign key (tenant, person) references person (tenant, id)
);

-- Families of refresh tokens. One row each, which every rotation changes: what is indexed stays as it is.
create table family (
    id           text   not null primary key check (length(id) = 26),
    tenant       text   not null,
    client       text   not null,
    person       text   not null,
    session      text   not null,
    passkey      bytea  not null,
    sid          text   not null,
    offline      bigint not null check (offline in (0, 1)),
    scope        text   not null,
    resources    text   not null,
    jkt          text   not null,
    signed_in_at bigint not null,
    acr          text   not null,
    amr          text   not null,
    generation   bigint not null check (generation > 0),
    current      bytea  not null check (length(current) = 32),
    previous     bytea,
    consumed_at  bigint,
    successor    bytea,
    replayed     bigint not null,
    released     text   not null,
    suspended_at bigint,
    suspicion    text   not null check ((suspicion <> '') = (suspended_at is not null)),
    revoked_at   bigint,
    created_at   bigint not null,
    used_at      bigint not null,
    expires_at   bigint not null,
    ends_at      bigint not null,
    foreign key (tenant, client) references client (tenant, id),
    foreign key (tenant, person) references person (tenant, id)
);

create index family_by_person on family (tenant, person);
create index family_by_session on family (session);
create index family_by_end on family (ends_at);
