package guard

import (
	"strings"
	"testing"
)

func TestTheMostSpecificRouteDecides(t *testing.T) {
	all, err := newTable([]Route{
		{Path: "/", Prefix: true, Scopes: []string{"read"}},
		{Path: "/orders", Prefix: true, Methods: []string{"GET"}, Scopes: []string{"orders.read"}},
		{Path: "/orders", Prefix: true, Methods: []string{"POST"}, Scopes: []string{"orders.write"}},
		{Path: "/orders/export", Scopes: []string{"orders.export"}},
		{Path: "/healthz", Methods: []string{"GET"}, Public: true},
		{Path: "/caf%C3%A9", Scopes: []string{"coffee"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/", "read"},
		{"DELETE", "/anything", "read"},
		{"GET", "/orders", "orders.read"},
		{"HEAD", "/orders/7", "orders.read"},
		{"POST", "/orders/7", "orders.write"},
		{"DELETE", "/orders/7", "none"}, // not the shorter prefix's business
		{"GET", "/orders2", "read"},
		{"GET", "/orders/export", "orders.export"},
		{"POST", "/orders/export/", "orders.export"},
		{"GET", "/orders/export/7", "orders.read"},
		{"GET", "/healthz", "public"},
		{"GET", "/healthz/", "public"},
		{"POST", "/healthz", "none"},
		{"GET", "/healthz/x", "read"},
		{"GET", "/caf%c3%a9", "coffee"},
		{"GET", "/Orders", "ambiguous"},
		{"GET", "/ORDERS/7", "ambiguous"},
		{"GET", "/Healthz", "ambiguous"},
		{"GET", "/orders/Export", "ambiguous"},
		{"GET", "/caf%C3%89", "ambiguous"},
		{"GET", "/heal%C5%BFz", "read"},
		{"GET", "/order%C5%BF", "ambiguous"}, // the long s is an s to those who ignore case
		{"GET", "/orders/Seven", "orders.read"},
	} {
		if got := lookUp(all, c.method, c.target); got != c.want {
			t.Errorf("%s %s needs %s: want %s", c.method, c.target, got, c.want)
		}
	}
}

func lookUp(all *table, method, target string) string {
	p, why := readTarget(target)
	if why != "" {
		return string(why)
	}
	found, why := all.find(p)
	if why != "" {
		return "ambiguous"
	}
	if found == nil {
		return "none"
	}
	r := found.route(method)
	switch {
	case r == nil:
		return "none"
	case r.Public:
		return "public"
	}
	return strings.Join(r.Scopes, " ")
}

func TestWithoutARouteNothingPasses(t *testing.T) {
	all, err := newTable([]Route{{Path: "/orders", Prefix: true}})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/", "/order", "/orders2", "/x/orders"} {
		if got := lookUp(all, "GET", target); got != "none" {
			t.Errorf("%s needs %q: want no route", target, got)
		}
	}
}

func TestRoutesThatCantBeMeantAreRefused(t *testing.T) {
	for name, routes := range map[string][]Route{
		"none":                      {},
		"no path":                   {{}},
		"no slash":                  {{Path: "orders"}},
		"a pattern":                 {{Path: "/orders/*"}},
		"a parameter":               {{Path: "/orders/:id"}},
		"a dot segment":             {{Path: "/orders/../x"}},
		"raw UTF-8":                 {{Path: "/café"}},
		"twice":                     {{Path: "/a"}, {Path: "/a/"}},
		"a method twice":            {{Path: "/a", Methods: []string{"GET", "POST"}}, {Path: "/a", Methods: []string{"POST"}}},
		"letters of another case":   {{Path: "/a"}, {Path: "/A"}},
		"the same across kinds":     {{Path: "/a", Prefix: true}, {Path: "/A"}},
		"a method in small letters": {{Path: "/a", Methods: []string{"get"}}},
		"TRACE":                     {{Path: "/a", Methods: []string{"TRACE"}}},
		"public for all methods":    {{Path: "/a", Public: true}},
		"public with a scope":       {{Path: "/a", Public: true, Methods: []string{"GET"}, Scopes: []string{"read"}}},
		"two scopes in one":         {{Path: "/a", Scopes: []string{"read write"}}},
	} {
		if _, err := newTable(routes); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := newTable([]Route{{Path: "/a", Prefix: true}, {Path: "/a"}, {Path: "/"}, {Path: "/", Prefix: true}}); err != nil {
		t.Errorf("an exact path inside its own prefix: %v", err)
	}
}
