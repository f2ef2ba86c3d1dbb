-- Of sessions from now on, every access token that they gave is remembered for as long as it lives.
alter table browser_session add column known bigint not null default 0 check (known in (0, 1));
