module seawall

go 1.26

require seawall/validate v0.0.0

replace seawall/validate => ./validate
