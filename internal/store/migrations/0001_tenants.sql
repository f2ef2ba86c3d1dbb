-- Portable SQL: times are Unix milliseconds, lists are JSON text, ids come from the application.

create table schema_version (
    version    bigint not null primary key,
    applied_at bigint not null
);

-- Every name that was ever given out, in its folded form. Rows are never changed or deleted: a name that could name
-- something else later would let old tokens, logs and registrations point at the wrong thing.
create table used_name (
    space   text   not null, -- 'tenant', 'issuer', 'party/<tenant>' (clients and APIs together), 'audience/<tenant>'
    name    text   not null,
    used_at bigint not null,
    primary key (space, name)
);

create table tenant (
    id              text   not null primary key check (length(id) between 1 and 63 and id = lower(id)),
    class           text   not null check (class in ('production', 'staging', 'development', 'support')),
    owner           text   not null check (owner <> ''),
    contacts        text   not null,
    issuer          text   not null unique,
    algorithm       text   not null check (algorithm in ('ES256', 'RS256', 'PS256', 'EdDSA')),
    claims          text   not null,
    max_lifetime_ms bigint not null check (max_lifetime_ms > 0),
    rotation_days   bigint not null check (rotation_days > 0),
    created_at      bigint not null,
    disabled_at     bigint,
    policy_version  bigint not null check (policy_version >= 0),
    policy_applied  bigint not null check (policy_applied between 0 and policy_version)
);

-- Policies that the signer has not confirmed yet, written with the change that made them.
create table policy_outbox (
    tenant  text   not null references tenant (id),
    version bigint not null,
    policy  text   not null,
    primary key (tenant, version)
);

create table api (
    tenant          text   not null references tenant (id),
    id              text   not null check (length(id) between 1 and 63 and id = lower(id)),
    audience        text   not null check (audience <> ''),
    secret_hash     bytea  not null check (length(secret_hash) = 32),
    scopes          text   not null,
    max_lifetime_ms bigint not null check (max_lifetime_ms >= 0),
    created_at      bigint not null,
    disabled_at     bigint,
    primary key (tenant, id),
    unique (tenant, audience)
);

create table client (
    tenant          text   not null references tenant (id),
    id              text   not null check (length(id) between 1 and 63 and id = lower(id)),
    name            text   not null,
    grants          text   not null,
    auth            text   not null check (auth in ('client_secret_basic', 'client_secret_post', 'private_key_jwt')),
    key_set         text   not null check ((key_set <> '') = (auth = 'private_key_jwt')),
    claims          text   not null,
    lifetime_ms     bigint not null check (lifetime_ms > 0),
    rate_per_second bigint not null check (rate_per_second > 0),
    created_at      bigint not null,
    disabled_at     bigint,
    primary key (tenant, id)
);

create table client_access (
    tenant text not null,
    client text not null,
    api    text not null,
    scopes text not null,
    primary key (tenant, client, api),
    foreign key (tenant, client) references client (tenant, id),
    foreign key (tenant, api) references api (tenant, id)
);

create table client_secret (
    hash       bytea  not null primary key check (length(hash) = 32),
    tenant     text   not null,
    client     text   not null,
    created_at bigint not null,
    expires_at bigint,
    foreign key (tenant, client) references client (tenant, id)
);

create index client_secret_by_client on client_secret (tenant, client);

-- Client assertions that were used (private_key_jwt): the SHA-256 of tenant, client and jti.
create table used_assertion (
    digest     bytea  not null primary key check (length(digest) = 32),
    expires_at bigint not null
);

create index used_assertion_by_expiry on used_assertion (expires_at);
