-- When what a code gave was taken back. That of one without a refresh family is remembered for as long as its access token lives.
alter table code add column revoked_at bigint;
