package ledger

import (
	"fmt"
	"slices"
	"strconv"

	"seawall/internal/mint"
)

// The ledger is the only author of distrust: every statement of an issuer's feed is an entry of the log, numbered and
// chained issuer by issuer and signed by the root. Those about keys follow from the steps of keys and from nothing else;
// the house asks for all others, and the ledger checks and reckons what it says. The house carries feeds to validators,
// and can't write into them.

const (
	// mostLive is how many live statements one feed can hold: what a validator keeps in memory, and a snapshot carries.
	mostLive = 1 << 16
	// room is what those about tokens and sessions leave of that. Whoever has an account can end sessions of their own without
	// end, and must not keep an administrator from ending all that a thief has.
	room = mostLive / 16
	// kept is how many of the last statements a feed remembers besides the live ones, so that who was away for a moment
	// goes on where it was. It may hold twice as many.
	kept = 256
	// overdue is what is added to the end of the last token concerned before a statement may be forgotten: clocks of
	// validators differ, and they allow for up to five minutes.
	overdue = 600
)

// feed is an issuer's distrust feed so far. Values are replaced. Their lists are only ever appended to or made anew, so
// that what was taken from a feed stays as it is.
type feed struct {
	N      uint64          `json:"n"`
	Chain  hash            `json:"chain"`
	Live   []mint.Distrust `json:"live"`   // in order; some may be over
	Recent []mint.Distrust `json:"recent"` // the last statements, restores too
}

// find returns the statement n if it is live or was, and nobody took it back.
func (f *feed) find(n uint64) *mint.Distrust {
	at, found := slices.BinarySearchFunc(f.Live, n, func(d mint.Distrust, n uint64) int {
		switch {
		case d.N < n:
			return -1
		case d.N > n:
			return 1
		}
		return 0
	})
	if !found {
		return nil
	}
	return &f.Live[at]
}

// about returns the live statement about a key.
func (f *feed) about(kid string) *mint.Distrust {
	for i := range f.Live {
		if f.Live[i].Kind == mint.DistrustKey && f.Live[i].Value == kid {
			return &f.Live[i]
		}
	}
	return nil
}

// liveAt returns the statements that are live at ms.
func (f *feed) liveAt(ms uint64) []mint.Distrust {
	list := make([]mint.Distrust, 0, len(f.Live))
	for i := range f.Live {
		if f.Live[i].LiveAt(ms) {
			list = append(list, f.Live[i])
		}
	}
	return list
}

// full reports whether so many statements are live at ms.
func (f *feed) full(most int, ms uint64) bool {
	if len(f.Live) < most {
		return false
	}
	for i := range f.Live {
		if f.Live[i].LiveAt(ms) {
			most--
		}
	}
	return most <= 0
}

// add returns the feed after d, which continues it.
func (f feed) add(d *mint.Distrust) (feed, *mint.Refusal) {
	switch {
	case d.Act == mint.ActDistrust && d.Undoes == 0:
		f.Live = append(f.Live, *d)
		if n := len(f.Live); n&(n-1) == 0 || n > mostLive { // now and then
			f.Live = f.liveAt(d.Millis)
		}
	case d.Act == mint.ActRestore:
		old := f.find(d.Undoes)
		if old == nil || old.Kind != d.Kind || old.Value != d.Value {
			return f, mint.Refuse(mint.StatedNever, "the statement %d takes back %d, which says something else or nothing", d.N, d.Undoes)
		}
		f.Live = slices.DeleteFunc(slices.Clone(f.Live), func(l mint.Distrust) bool { return l.N == d.Undoes })
	default:
		return f, mint.Refuse(mint.StatedKind, "the statement %d does neither", d.N)
	}
	if f.Recent = append(f.Recent, *d); len(f.Recent) > 2*kept {
		f.Recent = slices.Clone(f.Recent[kept:])
	}
	f.N, f.Chain = d.N, d.Chain()
	return f, nil
}

// admitDistrust judges a statement of a feed: its place, its signature and, about keys, its truth.
func (s *state) admitDistrust(e *mint.Entry) (func(), *mint.Refusal) {
	d, err := distrustOf(e)
	if err != nil {
		return nil, mint.Refuse(mint.EntryInvalid, "%s: %v", e.Kind, err)
	}
	f, known := s.Feeds[e.Issuer]
	d.Prev = f.Chain
	k := s.Keys[d.Value]
	switch {
	case s.Policies[e.Tenant].Issuer != e.Issuer:
		return nil, mint.Refuse(mint.IssuerMismatch, "the issuer is not the one bound to the tenant")
	case d.N != f.N+1:
		return nil, mint.Refuse(mint.EntryInvalid, "the statement %d does not follow %d", d.N, f.N)
	case len(s.Root) == 0 || !d.Verify(s.Root):
		return nil, mint.Refuse(mint.EntryInvalid, "the statement %d is not by the root of this ledger, or does not continue its chain", d.N)
	case d.Kind == mint.DistrustKey && (k.Issuer != d.Issuer || !k.distrusted() != (d.Act == mint.ActRestore)):
		return nil, mint.Refuse(mint.EntryInvalid, "the statement %d says what the steps of the key do not", d.N)
	}
	next, refusal := f.add(d)
	if refusal != nil {
		return nil, refusal
	}
	s.Feeds[e.Issuer] = next
	return func() {
		if s.Feeds[e.Issuer] = f; !known {
			delete(s.Feeds, e.Issuer)
		}
	}, nil
}

// distrusted reports whether the last step of k ended the trust in it.
func (k *key) distrusted() bool { return k.State == mint.KeySuspended || k.State == mint.KeyRevoked }

// distrustEntry is the entry of a statement. What it names is in the field where a search looks for it.
func distrustEntry(d *mint.Distrust, tenant, actor string) *mint.Entry {
	e := &mint.Entry{Kind: mint.DistrustStated, Tenant: tenant, Issuer: d.Issuer, Actor: actor, Detail: []mint.Field{
		{Name: "act", Value: string(d.Act)},
		{Name: "before", Value: strconv.FormatInt(d.Before, 10)},
		{Name: "kind", Value: string(d.Kind)},
		{Name: "n", Value: strconv.FormatUint(d.N, 10)},
		{Name: "reason", Value: string(d.Reason)},
		{Name: "signature", Value: d.Signature},
		{Name: "undoes", Value: strconv.FormatUint(d.Undoes, 10)},
		{Name: "until", Value: strconv.FormatInt(d.Until, 10)},
	}}
	if field := nameIn(e, d.Kind); field != nil {
		*field = d.Value
	} else {
		e.Detail = append(e.Detail, mint.Field{Name: "value", Value: d.Value})
	}
	e.SortDetail()
	return e
}

// nameIn returns the field of an entry for what a statement of a kind names; nil for a session, which has none, but a detail.
func nameIn(e *mint.Entry, kind mint.DistrustKind) *string {
	switch kind {
	case mint.DistrustKey:
		return &e.KID
	case mint.DistrustToken:
		return &e.JTI
	case mint.DistrustSubject:
		return &e.Subject
	case mint.DistrustClient:
		return &e.Client
	}
	return nil
}

// distrustOf reads the statement in an entry. The chain before it is for the caller to say.
func distrustOf(e *mint.Entry) (*mint.Distrust, error) {
	n, err := numbers(e, "n", "before", "until", "undoes")
	if err != nil {
		return nil, err
	}
	d := &mint.Distrust{Issuer: e.Issuer, N: uint64(n[0]), Act: mint.Act(detail(e, "act")), Kind: mint.DistrustKind(detail(e, "kind")),
		Value: detail(e, "value"), Before: n[1], Until: n[2], Undoes: uint64(n[3]), Reason: mint.Reason(detail(e, "reason")),
		Millis: e.Millis, Signature: detail(e, "signature")}
	for _, kind := range [...]mint.DistrustKind{mint.DistrustKey, mint.DistrustToken, mint.DistrustSubject, mint.DistrustClient} {
		switch field := nameIn(e, kind); {
		case kind == d.Kind && d.Value == "":
			d.Value = *field
		case *field != "":
			return nil, fmt.Errorf("a statement about a %s names something else", d.Kind)
		}
	}
	if d.Kind != mint.DistrustSession && detail(e, "value") != "" || d.Value == "" || !d.Reason.Known() {
		return nil, fmt.Errorf("a statement about a %s without its value or a reason", d.Kind)
	}
	return d, nil
}

// statement makes the next statement of a feed into an entry of the batch b. d says what, about whom and why.
func (l *Ledger) statement(b *building, d mint.Distrust, tenant, actor string) (*mint.Distrust, *mint.Refusal) {
	f := l.state.Feeds[d.Issuer]
	d.N, d.Prev, d.Millis = f.N+1, f.Chain, b.millis
	d.Sign(l.keys.root)
	return &d, b.admit(l.state, distrustEntry(&d, tenant, actor))
}

// follow adds what follows from the step of a key: who may not trust it any more is told in the same record, and so is
// who may again.
func (l *Ledger) follow(b *building, step *mint.Entry) *mint.Refusal {
	f := l.state.Feeds[step.Issuer]
	k := l.state.Keys[step.KID]
	old := f.about(step.KID)
	d := mint.Distrust{Issuer: step.Issuer, Act: mint.ActDistrust, Kind: mint.DistrustKey, Value: step.KID, Until: k.Expires + overdue,
		Reason: mint.Reason(detail(step, "reason"))}
	switch {
	case k.distrusted() && old == nil:
	case step.Kind == mint.KeyVerifyOnly && old != nil:
		d.Act, d.Until, d.Undoes = mint.ActRestore, old.Until, old.N
	default:
		return nil
	}
	if !d.Reason.Known() {
		return mint.Refuse(mint.StatedReason, "the reason is not one of those that a feed gives: %v", mint.Reasons())
	}
	_, refusal := l.statement(b, d, step.Tenant, step.Actor)
	return refusal
}

// distrust states what the house asks for in the batch b.
func (l *Ledger) distrust(b *building, q *mint.StateQuery) (*mint.Distrust, *mint.Refusal) {
	d, refusal := l.weigh(q, int64(b.millis/1000))
	if refusal != nil {
		return nil, refusal
	}
	return l.statement(b, *d, q.Tenant, q.Actor)
}

// weigh turns what the house asks for at now into what the ledger is ready to state.
func (l *Ledger) weigh(q *mint.StateQuery, now int64) (*mint.Distrust, *mint.Refusal) {
	p, known := l.state.Policies[q.Tenant]
	switch {
	case !known:
		return nil, mint.Refuse(mint.TenantUnknown, "no policy of the tenant has been recorded, so no issuer is bound to it")
	case p.Issuer != q.Issuer:
		return nil, mint.Refuse(mint.IssuerMismatch, "the issuer is not the one bound to the tenant")
	case !q.Reason.Known():
		return nil, mint.Refuse(mint.StatedReason, "the reason is not one of those that a feed gives: %v", mint.Reasons())
	case q.Actor == "":
		return nil, mint.Refuse(mint.EntryInvalid, "who asks for it must be said")
	}
	if r := checkText(kindOf(mint.DistrustStated), q.Actor); r != nil {
		return nil, r
	}
	f := l.state.Feeds[q.Issuer]
	if q.Act == mint.ActRestore {
		return f.weighUndo(q, now)
	}
	if q.Act != mint.ActDistrust || q.Undoes != 0 {
		return nil, mint.Refuse(mint.StatedKind, "this is neither distrust nor its undoing")
	}
	if r := weighValue(q); r != nil {
		return nil, r
	}
	d := &mint.Distrust{Issuer: q.Issuer, Act: q.Act, Kind: q.Kind, Value: q.Value, Before: q.Before, Reason: q.Reason}
	life := l.state.lives[q.Issuer]
	switch {
	case q.Kind == mint.DistrustToken && q.Before != 0:
		return nil, mint.Refuse(mint.StatedTime, "a token is distrusted whenever it was issued")
	case q.Kind == mint.DistrustToken:
		d.Until = now + mint.MaxClockDrift/1000 + life + overdue
	case q.Before < 0 || q.Before > now+1:
		return nil, mint.Refuse(mint.StatedTime, "the time lies ahead: tokens that nobody has issued yet can't be distrusted")
	default:
		if q.Before == 0 {
			d.Before = now + 1
		}
		d.Until = d.Before + life + overdue
	}
	if q.Ends != 0 { // by the house's clock
		d.Until = min(d.Until, q.Ends+mint.MaxClockDrift/1000+overdue)
	}
	if d.Until <= now {
		return nil, mint.Refuse(mint.StatedTime, "every token issued before that time is over")
	}
	most := mostLive
	if q.Kind == mint.DistrustToken || q.Kind == mint.DistrustSession {
		most -= room
	}
	if f.full(most, uint64(now)*1000) {
		return nil, mint.Refuse(mint.StatedFull, "the issuer has %d live statements, and a feed holds no more about a %s: one about the client or the subject stands for many", most, q.Kind)
	}
	return d, nil
}

// weighValue checks what the house wants to name.
func weighValue(q *mint.StateQuery) *mint.Refusal {
	switch q.Kind {
	case mint.DistrustToken, mint.DistrustSession, mint.DistrustSubject, mint.DistrustClient:
	case mint.DistrustKey:
		return mint.Refuse(mint.StatedByKey, "keys are distrusted by a step of theirs, which the signer asks for")
	default:
		return mint.Refuse(mint.StatedKind, "a feed can't speak of this kind of thing")
	}
	switch {
	case q.Value == "" || len(q.Value) > mint.MaxText || !plain(q.Value):
		return mint.Refuse(mint.StatedValue, "the value is empty, longer than %d bytes or not plain text", mint.MaxText)
	case credential(q.Value):
		return mint.Refuse(mint.StatedCredential, "the value looks like a credential, which must never be recorded: a token is named by its jti")
	}
	return nil
}

// weighUndo finds the statement that the house wants to take back.
func (f *feed) weighUndo(q *mint.StateQuery, now int64) (*mint.Distrust, *mint.Refusal) {
	if q.Kind != "" || q.Value != "" || q.Before != 0 {
		return nil, mint.Refuse(mint.StatedKind, "a statement is taken back by its number alone")
	}
	if q.Undoes == 0 || q.Undoes > f.N {
		return nil, mint.Refuse(mint.StatedNever, "the feed of the issuer has no statement %d", q.Undoes)
	}
	old := f.find(q.Undoes)
	switch {
	case old != nil && old.Kind == mint.DistrustKey:
		return nil, mint.Refuse(mint.StatedByKey, "a key is believed again by a step of its own, which the signer asks for")
	case old == nil || !old.LiveAt(uint64(now)*1000):
		return nil, mint.Refuse(mint.StatedOver, "the statement %d was taken back before, or its time is over", q.Undoes)
	}
	return &mint.Distrust{Issuer: old.Issuer, Act: mint.ActRestore, Kind: old.Kind, Value: old.Value, Before: old.Before, Until: old.Until,
		Undoes: old.N, Reason: q.Reason}, nil
}
