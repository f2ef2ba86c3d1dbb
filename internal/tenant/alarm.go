package tenant

import "time"

// AlarmKind names what every owner hears of.
type AlarmKind string

// The kinds of alarm.
const (
	OwnerLinked AlarmKind = "owner-link"   // over the operators' socket somebody made a link for an owner
	GlassUsed   AlarmKind = "glass-broken" // a break-glass code was used
)

// AlarmLife is how long an alarm is shown.
const AlarmLife = 30 * 24 * time.Hour

// Alarm is an act that may be good and right, and that every owner should know of.
type Alarm struct {
	At            time.Time
	Kind          AlarmKind
	Tenant, Login string // whom it is about
	Actor         string // who did it, as entries have it
}
