package console

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"seawall/internal/server/adminapi"
)

func (o *Console) keys(v *visit) error {
	id := v.PathValue("tenant")
	all, err := v.api.Keys(v.Context(), id)
	if err != nil {
		return err
	}
	list := &table{Caption: "console.keys", Columns: []string{"console.key", "console.keystate", "console.family", "console.algorithm", "console.signsuntil"}, Empty: "console.nokeys"}
	for _, k := range all {
		list.Rows = append(list.Rows, []cell{{Text: k.KID, Copy: true, Path: at("tenants", id, "keys", k.KID)}, keyState(k.State), text(k.Family), text(k.Algorithm), v.signsUntil(&k)})
	}
	return o.render(v, "show", page{Title: "console.keysof", Args: []any{id}, Lead: "console.keyslead", Section: "tenants", Trail: trail(id), Body: []section{{Table: list, Acts: []act{{Key: "console.rotate", Path: at("tenants", id, "keys", "rotate"), By: operators}}}}})
}

func (o *Console) rotatingKeys(v *visit) error {
	id := v.PathValue("tenant")
	all, err := v.api.Keys(v.Context(), id)
	if err != nil {
		return err
	}
	list := &table{Caption: "console.keys", Columns: []string{"console.key", "console.family", "console.keystate"}, Empty: "console.nokeys"}
	for _, k := range all {
		if key := map[string]string{"active": "console.signsnow", "staged": "console.signsnext"}[k.State]; key != "" {
			list.Rows = append(list.Rows, []cell{copied(k.KID), text(k.Family), word(key)})
		}
	}
	list.Root = o.root
	return o.render(v, "form", page{Title: "console.rotatingkeys", Args: []any{id}, Section: "tenants", Trail: keysTrail(id), Body: form{Facts: []fact{
		{"console.happens", word("console.rotatehappens")}, {"console.spared", word("console.rotatespared")}, {"console.undo", word("console.undonot")},
	}, Table: list, Button: "console.rotatego", Back: at("tenants", id, "keys")}})
}

func keysTrail(id string, more ...link) []link {
	return trail(id, append([]link{{Key: "console.keys", Path: at("tenants", id, "keys")}}, more...)...)
}

func (o *Console) rotateKeys(v *visit) error {
	id := v.PathValue("tenant")
	done, err := v.api.RotateKeys(v.Context(), id, adminapi.RotateKeys{})
	if err != nil {
		return err
	}
	list := &table{Caption: "console.keys", Columns: []string{"console.family", "console.signsnow", "console.stays"}}
	stays := false
	for _, f := range done.Families {
		stays = stays || f.Stays != ""
		list.Rows = append(list.Rows, []cell{text(f.Family), orNone(f.To), orNone(f.Stays)})
	}
	if !stays {
		return o.done(v, at("tenants", id, "keys"), "rotated")
	}
	return o.render(v, "show", page{Title: "console.keysof", Args: []any{id}, Lead: "console.somestay", Section: "tenants", Trail: keysTrail(id), Body: []section{{Table: list}}})
}

// keyState is the state of a key as the admin API names it.
func keyState(state string) cell {
	kind := "plain"
	switch state {
	case "active":
		kind = "ok"
	case "suspended", "revoked":
		kind = "danger"
	}
	return cell{Text: state, Badge: kind}
}

// signsUntil is how long a key may sign, if it may.
func (v *visit) signsUntil(k *adminapi.Key) cell {
	if k.State != "staged" && k.State != "active" {
		return word("console.none")
	}
	return v.when(k.SigningEnds)
}

// keyMeans says what a state means.
var keyMeans = map[string]string{"staged": "console.meansstaged", "active": "console.meansactive", "verify-only": "console.meansverify", "retired": "console.meansretired",
	"suspended": "console.meanssuspended", "revoked": "console.meansrevoked"}

// findKey returns the key that a page is about, and the one of its family that signs now: "" if there is none.
func (v *visit) findKey() (k *adminapi.Key, signs string, err error) {
	all, err := v.api.Keys(v.Context(), v.PathValue("tenant"))
	if err != nil {
		return nil, "", err
	}
	i := slices.IndexFunc(all, func(k adminapi.Key) bool { return k.KID == v.PathValue("key") })
	if i < 0 {
		return nil, "", &adminapi.Error{Code: adminapi.CodeNotFound, Status: http.StatusNotFound, Description: "the tenant never had this key", Hint: "go back to its keys"}
	}
	for j := range all {
		if all[j].State == "active" && all[j].Family == all[i].Family {
			signs = all[j].KID
		}
	}
	return &all[i], signs, nil
}

// thisKey is the path of the key that a page is about.
func (v *visit) thisKey(more ...string) string {
	return at(append([]string{"tenants", v.PathValue("tenant"), "keys", v.PathValue("key")}, more...)...)
}

func (o *Console) key(v *visit) error {
	k, signs, err := v.findKey()
	if err != nil {
		return err
	}
	id := v.PathValue("tenant")
	view := section{Facts: []fact{{"console.keystate", keyState(k.State)}, {"console.means", word(cmp.Or(keyMeans[k.State], "console.none"))}, {"console.key", copied(k.KID)}, {"console.thumbprint", copied(k.Thumbprint)},
		{"console.algorithm", text(k.Algorithm)}, {"console.family", texts(k.TokenKinds)}, {"console.published", v.when(k.Published)}, {"console.activated", v.when(k.Activated)},
		{"console.signsuntil", v.signsUntil(k)}, {"console.expires", v.when(k.Expires)}, {"console.signsnow", copied(cmp.Or(signs, "–"))}}}
	view.Acts = []act{{Key: "console.ledgerof", Path: "/ledger?tenant=" + id + "&kid=" + k.KID, By: overseers}}
	switch {
	case k.State == "suspended":
		view.Acts = append(view.Acts, act{Key: "console.giveback", Path: v.thisKey("give-back"), By: operators}, act{Key: "console.revokekey", Path: v.thisKey("distrust"), Danger: true, By: operators})
	case trusted(k):
		view.Acts = append(view.Acts, act{Key: "console.distrustkey", Path: v.thisKey("distrust"), Danger: true, By: operators})
	}
	return o.render(v, "show", page{Title: "console.keynamed", Args: []any{k.KID}, Section: "tenants", Trail: keysTrail(id), Body: []section{view}})
}

// trusted reports whether there is trust in a key that could be ended.
func trusted(k *adminapi.Key) bool {
	return k.State == "staged" || k.State == "active" || k.State == "verify-only"
}

// What a key may be distrusted for, and given back. They are the admin API's reasons that can be about a key.
var (
	distrustReasons = []option{{Value: "key-compromise", Key: "console.reasoncompromise"}, {Value: "provider-hygiene", Key: "console.reasonhygiene"}, {Value: "admin", Key: "console.reasonadmin"}}
	givebackReasons = []option{{Value: "mistake", Key: "console.reasonmistake"}, {Value: "admin", Key: "console.reasonadmin"}}
)

// distrustingKey shows what would become of whom. A suspended key can be revoked for good, and that is all.
func (o *Console) distrustingKey(v *visit) error {
	k, _, err := v.findKey()
	if err != nil {
		return err
	}
	again := k.State == "suspended"
	if !again && !trusted(k) {
		return o.keyStays(v, "console.distrustnot")
	}
	seen, err := v.api.PreviewDistrust(v.Context(), v.PathValue("tenant"), adminapi.Distrust{Kind: "key", Value: k.KID, Reason: distrustReasons[0].Value, Final: again})
	if err != nil {
		return err
	}
	happens, undo, steps := "console.distrusthappens", "console.distrustundo", []option{{Value: "suspend", Key: "console.keysuspend"}, {Value: "revoke", Key: "console.keyrevoke"}}
	if again {
		happens, undo, steps = "console.revokehappens", "console.revokeundo", steps[1:]
	}
	f := form{Button: "console.distrustgo", Facts: append([]fact{{"console.happens", word(happens)}}, v.affected(seen)...)}
	f.Facts = append(append(f.Facts, v.nextKey(seen)...), fact{"console.spared", word("console.distrustspared")}, fact{"console.theyhave", word("console.distrusttheyhave")},
		fact{"console.undo", word(undo)}, fact{"console.mustagree", word("console.nobodyelse")})
	f.Fields = []field{{Name: "step", Label: "console.keystep", Kind: "choice", Value: steps[0].Value, Options: steps}}
	if young(seen, v.now) {
		f.Fields = append(f.Fields, field{Name: "young", Label: "console.young", Hint: "console.younghint", Kind: "checks", Options: []option{{Value: "yes", Key: "console.youngyes"}}})
	}
	f.Fields = append(f.Fields, field{Name: "reason", Label: "console.reason", Hint: "console.reasonhint", Kind: "choice", Options: distrustReasons, Required: true})
	return o.askAboutKey(v, "console.distrusting", f, seen)
}

// askAboutKey asks for an act upon a key, below whom it would affect.
func (o *Console) askAboutKey(v *visit, title string, f form, seen *adminapi.DistrustPreview) error {
	id, kid := v.PathValue("tenant"), v.PathValue("key")
	f.Table, f.Back = v.shares(id, seen), v.thisKey()
	f.Table.Root = o.root
	f.Fields, f.Danger, f.Sure = v.fill(f.Fields...), true, true
	return o.render(v, "form", page{Title: title, Args: []any{kid, id}, Section: "tenants", Trail: keysTrail(id, link{Text: kid, Path: v.thisKey()}), Body: f})
}

// keyStays says why there is nothing to be done.
func (o *Console) keyStays(v *visit, why string) error {
	id, kid := v.PathValue("tenant"), v.PathValue("key")
	return o.render(v, "show", page{Title: "console.keynamed", Args: []any{kid}, Lead: why, Section: "tenants", Trail: keysTrail(id), Body: []section{{Acts: []act{{Key: "console.tokey", Path: v.thisKey()}}}}})
}

// affected is how many tokens an act is about.
func (v *visit) affected(seen *adminapi.DistrustPreview) []fact {
	key := "console.alive"
	if seen.AtLeast {
		key = "console.aliveatleast"
	}
	facts := []fact{{"console.affected", word(key, seen.Tokens, seen.Subjects)}}
	if seen.Tokens > 0 {
		facts = append(facts, fact{"console.lastends", v.when(seen.LastEnds)})
	}
	return facts
}

// nextKey says which key signs when this one is distrusted, and from when on everybody knows it.
func (v *visit) nextKey(seen *adminapi.DistrustPreview) []fact {
	switch {
	case seen.KeyState != "active":
		return []fact{{"console.signsnext", word("console.nextnone")}}
	case seen.NextKey == "":
		return []fact{{"console.signsnext", badge("warn", "console.nextmissing")}}
	}
	known := v.when(seen.NextKnown)
	if known.Badge = "ok"; young(seen, v.now) {
		known.Badge = "warn"
	}
	return []fact{{"console.signsnext", copied(seen.NextKey)}, {"console.known", known}}
}

// young reports whether the next key is one that validators may not know yet.
func young(seen *adminapi.DistrustPreview, now time.Time) bool {
	return seen.NextKey != "" && seen.NextKnown.After(now)
}

// mostShares is how many clients, and how many APIs, are named.
const mostShares = 10

// shares are whose tokens they are, and for what: most first, each with its part of all.
func (v *visit) shares(id string, seen *adminapi.DistrustPreview) *table {
	list := &table{Caption: "console.whose", Columns: []string{"console.whose", "console.kind", "console.tokens"}, Empty: "console.noshares"}
	add := func(shares []adminapi.Share, kind string, path func(string) string) {
		for i, s := range shares {
			if i == mostShares {
				list.Rows = append(list.Rows, []cell{word("console.andmore", len(shares)-i), word(kind), word("console.none")})
				break
			}
			list.Rows = append(list.Rows, []cell{{Text: s.Name, Path: path(s.Name)}, word(kind), {Text: strconv.FormatUint(s.Tokens, 10), Part: hundredths(s.Tokens, seen.Tokens)}})
		}
	}
	add(seen.Clients, "console.client", func(name string) string { return at("tenants", id, "clients", name) })
	add(seen.APIs, "console.theapi", func(name string) string { return at("tenants", id, "apis", name) })
	return list
}

// hundredths is n of all, and never nothing.
func hundredths(n, all uint64) int {
	return int(max(1, min(100, 100*n/max(1, all))))
}

// distrustKey suspends a key, which can be undone, unless it is asked to revoke it in so many words.
func (o *Console) distrustKey(v *visit) error {
	q := adminapi.Distrust{Kind: "key", Value: v.PathValue("key"), Reason: v.value("reason"), Final: v.value("step") == "revoke", YoungSpare: v.value("young") == "yes"}
	if _, err := v.api.Distrust(v.Context(), v.PathValue("tenant"), q); err != nil {
		return err
	}
	return o.done(v, v.thisKey(), "distrusted")
}

func (o *Console) givingBack(v *visit) error {
	k, signs, err := v.findKey()
	if err != nil {
		return err
	}
	if k.State != "suspended" {
		return o.keyStays(v, "console.givebacknot")
	}
	seen, err := v.api.PreviewDistrust(v.Context(), v.PathValue("tenant"), adminapi.Distrust{Kind: "key", Value: k.KID, Reason: givebackReasons[0].Value, Undo: true})
	if err != nil {
		return err
	}
	f := form{Button: "console.givebackgo", Facts: append([]fact{{"console.happens", word("console.givebackhappens")}}, v.affected(seen)...)}
	f.Facts = append(f.Facts, fact{"console.signsnow", copied(cmp.Or(signs, "–"))}, fact{"console.spared", word("console.givebackspared")}, fact{"console.undo", word("console.givebackundo")}, fact{"console.mustagree", word("console.nobodyelse")})
	f.Fields = []field{{Name: "reason", Label: "console.reason", Hint: "console.reasonhint", Kind: "choice", Options: givebackReasons, Required: true}}
	return o.askAboutKey(v, "console.givingback", f, seen)
}

func (o *Console) giveBack(v *visit) error {
	if _, err := v.api.Distrust(v.Context(), v.PathValue("tenant"), adminapi.Distrust{Kind: "key", Value: v.PathValue("key"), Reason: v.value("reason"), Undo: true}); err != nil {
		return err
	}
	return o.done(v, v.thisKey(), "givenback")
}
