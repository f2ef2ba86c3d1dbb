package validate

import "time"

// maxSkew is how far two right clocks may lie apart.
const maxSkew = time.Minute

// anchor is a moment that two clocks agreed on: the wall clock, which can be set back, and the
// processor's, which only goes on. From then on the second tells how late it is at least, so that
// setting the wall clock back makes no old key young. The zero anchor knows nothing.
type anchor struct {
	wall   time.Time // by Config.Now, without a monotonic reading
	steady time.Time // by time.Now, for its monotonic reading
}

// drop lays an anchor at this moment.
func drop(now time.Time) anchor { return anchor{wall: now.Round(0), steady: time.Now()} }

// forward gives the time: what the wall clock shows, or what it should at least show.
func (a anchor) forward(now time.Time) time.Time {
	if a.steady.IsZero() {
		return now
	}
	if least := a.wall.Add(time.Since(a.steady)); now.Before(least) {
		return least
	}
	return now
}

// settle lays the next anchor. A wall clock that was set back is believed only if the issuer, whose
// answer bears a date (RFC 9110 §6.6.1), shows the same time: then it was wrong before.
func (a anchor) settle(now anchor, date time.Time) anchor {
	if least := a.forward(now.wall); least.After(now.wall) && (date.IsZero() || date.Sub(now.wall).Abs() > maxSkew) {
		now.wall = least
	}
	return now
}
