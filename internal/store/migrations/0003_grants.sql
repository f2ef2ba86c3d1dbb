-- What people have agreed to: consents, authorization codes, and the families of refresh tokens.

-- Authorization codes by their hash. A row stays for a while after it was redeemed, with what it gave.
create table code (
    hash         bytea  not null primary key check (length(hash) = 32),
    tenant       text   not null,
    client       text   not null,
    person       text   not null,
    session      text   not null,
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
