-- When a break-glass principal's code was last made, and last used: a way in that nobody has tried for long is a hope.
create table break_glass_proof (
    tenant    text   not null,
    person    text   not null,
    sealed_at bigint,
    used_at   bigint,
    proven_at bigint,
    primary key (tenant, person),
    foreign key (tenant, person) references person (tenant, id)
);

insert into break_glass_proof (tenant, person, sealed_at) select tenant, person, issued_at from break_glass_code;
