-- People who sign in with passkeys, their browsers, and the links and codes by which they get their passkeys.

-- What a tenant asks of passkeys: a tier, and the models (AAGUIDs) that the highest tier admits.
alter table tenant add column passkeys text not null default 'any' check (passkeys in ('any', 'device-bound', 'attested'));
alter table tenant add column models text not null default '[]';

-- Subjects are in used_name too (space 'subject/<tenant>'), so that none is ever given out twice.
create table person (
    tenant      text   not null references tenant (id),
    id          text   not null check (length(id) between 1 and 63),
    handle      bytea  not null unique check (length(handle) = 32),
    kind        text   not null check (kind in ('human', 'break-glass')),
    login       text   not null check (login <> ''),
    name        text   not null check (name <> ''),
    role        text   not null check (role in ('', 'owner', 'operator', 'help-desk', 'auditor')),
    created_at  bigint not null,
    disabled_at bigint,
    primary key (tenant, id)
);

create index person_by_login on person (tenant, login);

create table passkey (
    id           bytea  not null primary key check (length(id) between 1 and 1023),
    tenant       text   not null,
    person       text   not null,
    name         text   not null check (name <> ''),
    public_key   bytea  not null,
    flags        bigint not null check (flags between 0 and 255),
    counter      bigint not null check (counter >= 0),
    aaguid       bytea  not null check (length(aaguid) = 16),
    transports   text   not null,
    format       text   not null,
    attested     bigint not null check (attested in (0, 1)),
    hardware     bigint not null check (hardware in (0, 1)),
    attestation  bytea  not null,
    created_at   bigint not null,
    used_at      bigint,
    suspended_at bigint,
    foreign key (tenant, person) references person (tenant, id)
);

create index passkey_by_person on passkey (tenant, person);

-- Signed-in browsers. The hash is that of the cookie's value; one that has ended has no row.
create table browser_session (
    hash    bytea  not null primary key check (length(hash) = 32),
    id      text   not null unique,
    tenant  text   not null,
    person  text   not null,
    passkey bytea  not null,
    acr     text   not null,
    amr     text   not null,
    device  text   not null,
    place   text   not null,
    at      bigint not null,
    seen_at bigint not null,
    foreign key (tenant, person) references person (tenant, id)
);

create index browser_session_by_person on browser_session (tenant, person);

-- WebAuthn ceremonies under way, by the hash of their challenge. Consuming one deletes its row.
create table ceremony (
    challenge  bytea  not null primary key check (length(challenge) = 32),
    browser    bytea  not null check (length(browser) = 32),
    kind       text   not null check (kind in ('sign-in', 'enrol', 'add')),
    tenant     text   not null references tenant (id),
    person     text   not null,
    enrolment  bytea,
    state      bytea  not null,
    expires_at bigint not null
);

create index ceremony_by_expiry on ceremony (expires_at);

-- Links that let a person register one passkey. One that was used has no row.
create table enrolment (
    hash       bytea  not null primary key check (length(hash) = 32),
    tenant     text   not null,
    person     text   not null,
    why        text   not null check (why in ('first', 'recovery', 'break-glass')),
    issued_by  text   not null,
    issued_at  bigint not null,
    expires_at bigint not null,
    foreign key (tenant, person) references person (tenant, id)
);

create index enrolment_by_person on enrolment (tenant, person);

-- The slow way back for a person who has lost their passkeys.
create table recovery (
    tenant       text   not null,
    person       text   not null,
    requested_by text   not null,
    requested_at bigint not null,
    approved_by  text   not null,
    approved_at  bigint,
    primary key (tenant, person),
    foreign key (tenant, person) references person (tenant, id)
);

-- Codes on paper, by their hash; one for each break-glass principal. One that was used has no row.
create table break_glass_code (
    hash      bytea  not null primary key check (length(hash) = 32),
    tenant    text   not null,
    person    text   not null,
    issued_by text   not null,
    issued_at bigint not null,
    unique (tenant, person),
    foreign key (tenant, person) references person (tenant, id)
);

-- What somebody was about to do when they were asked to sign in. Consuming one deletes its row.
create table interaction (
    hash       bytea  not null primary key check (length(hash) = 32),
    tenant     text   not null references tenant (id),
    demand     text   not null,
    expires_at bigint not null
);

create index interaction_by_expiry on interaction (expires_at);
