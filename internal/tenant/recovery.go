package tenant

import (
	"strings"
	"time"
)

// VoiceAge is how long before a recovery is asked for somebody must have had a passkey to speak for it: nobody makes an
// administrator for the occasion.
const VoiceAge = 24 * time.Hour

// Recovery is the slow way back for somebody who has lost their passkeys: two administrators speak for it, the person is told
// and can stop it, a day passes, and only then there is a link.
//
// An administrator who speaks is a person of the operators' tenant with a passkey. Whoever may use the operators' socket can
// ask, and that counts for nothing: one who owns the host can be anybody there.
type Recovery struct {
	Tenant, Person string
	RequestedBy    string // who asked, as entries have it: "person:…" or "uid:…"
	RequestedAt    time.Time
	FirstBy        string // the first administrator who spoke for it, maybe who asked; empty: nobody yet
	ApprovedBy     string // the second; empty: nobody yet
	ApprovedAt     time.Time
}

// Voice is an administrator who asks for a recovery or speaks for it.
type Voice struct {
	Name  string    // as entries have it
	Since time.Time // when the oldest passkey of theirs that works was registered; zero: they have none, or came by the socket
}

const personPrefix = "person:"

// SpeakerID is the subject of the person in a name as entries have it, and whether it names a person.
func SpeakerID(name string) (string, bool) { return strings.CutPrefix(name, personPrefix) }

// VoiceOf is the voice of a person of the operators' tenant with these passkeys.
func VoiceOf(p Person, keys []Passkey) Voice {
	v := Voice{Name: personPrefix + p.ID}
	for _, k := range keys {
		if k.Live() && (v.Since.IsZero() || k.CreatedAt.Before(v.Since)) {
			v.Since = k.CreatedAt
		}
	}
	return v
}

// maySpeak says whether a voice counts.
func (r Recovery) maySpeak(v Voice) error {
	const hint = "two people approve it with their passkeys, each on their page at …/operators/account"
	if _, person := SpeakerID(v.Name); !person {
		return Refuse(ErrConflict, hint, "the operators' socket can ask for a recovery, and has no say in it: whoever owns the host could be anybody there")
	}
	if v.Since.IsZero() || v.Since.After(r.RequestedAt.Add(-VoiceAge)) {
		return Refuse(ErrConflict, hint, "%s has had no passkey for a day before this recovery was asked for", v.Name)
	}
	return nil
}

// NewRecovery begins a recovery. Whoever asks for it with a passkey has spoken for it.
func NewRecovery(tenantID, person string, by Voice, now time.Time) Recovery {
	r := Recovery{Tenant: tenantID, Person: person, RequestedBy: by.Name, RequestedAt: wholeMillis(now)}
	if r.maySpeak(by) == nil {
		r.FirstBy = by.Name
	}
	return r
}

// UsableFrom is when a link may be made; zero before two have spoken for it.
func (r Recovery) UsableFrom() time.Time {
	if r.ApprovedAt.IsZero() {
		return time.Time{}
	}
	return r.ApprovedAt.Add(RecoveryDelay)
}

// Live reports whether the recovery is not over at now.
func (r Recovery) Live(now time.Time) bool {
	if r.ApprovedAt.IsZero() {
		return now.Before(r.RequestedAt.Add(RecoveryLife))
	}
	return now.Before(r.UsableFrom().Add(RecoveryLife))
}

// Approve is the word of an administrator: the first or, from somebody else, the second, which is what makes it approved.
func (r Recovery) Approve(by Voice, now time.Time) (Recovery, error) {
	switch {
	case !r.Live(now):
		return r, Refuse(ErrConflict, "ask for it again", "the recovery was asked for too long ago")
	case r.ApprovedBy != "":
		return r, Refuse(ErrConflict, "", "the recovery was approved by %s already", r.ApprovedBy)
	case r.FirstBy == by.Name:
		return r, Refuse(ErrConflict, "another administrator has to approve it, with an account of their own", "%s has spoken for this recovery, and can't be the second too", by.Name)
	}
	if err := r.maySpeak(by); err != nil {
		return r, err
	}
	if r.FirstBy == "" {
		r.FirstBy = by.Name
		return r, nil
	}
	r.ApprovedBy, r.ApprovedAt = by.Name, wholeMillis(now)
	return r, nil
}

// Ready says whether a link may be made at now.
func (r Recovery) Ready(now time.Time) error {
	switch {
	case !r.Live(now):
		return Refuse(ErrConflict, "ask for it again", "the recovery is over")
	case r.ApprovedBy == "":
		return Refuse(ErrConflict, "each administrator approves it on their page at …/operators/account", "the recovery waits for %s", r.missing())
	case now.Before(r.UsableFrom()):
		return Refuse(ErrConflict, "the person is told, and may stop it until then", "the recovery waits until %s", r.UsableFrom().UTC().Format(time.RFC3339))
	}
	return nil
}

// missing says who has yet to speak.
func (r Recovery) missing() string {
	if r.FirstBy == "" {
		return "two administrators"
	}
	return "a second administrator"
}

// WaitingRecovery is a recovery that wants an administrator's word, and whose it is.
type WaitingRecovery struct {
	Recovery
	Who Person
}

// MayBeApprovedBy says whether somebody with an account of their own may speak for it: nobody does for themselves, for a role
// above theirs, or twice.
func (w WaitingRecovery) MayBeApprovedBy(p Person) error {
	if p.ID == w.Who.ID && p.Tenant == w.Who.Tenant || w.FirstBy == personPrefix+p.ID || !p.Role.MayAdmit(w.Who.Role) {
		return Refuse(ErrConflict, "another administrator has to approve it", "%s may not approve a recovery of %s", p.Login, w.Who.Login)
	}
	return nil
}
