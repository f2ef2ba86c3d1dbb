module seawall/adapters/expvar

go 1.26.0

require seawall/validate v0.0.0

replace seawall/validate => ../../validate
