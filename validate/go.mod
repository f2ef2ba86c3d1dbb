module seawall/validate

go 1.26
