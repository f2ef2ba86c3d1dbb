package validate

import "time"

// instant is a NumericDate (RFC 7519 §2) read without rounding: whole nanoseconds since 1970, and
// whether digits below a nanosecond remain. No float is involved, so no value can become another.
type instant struct {
	sec  int64
	nsec int32
	more bool // a remainder below one nanosecond
}

// endOfTime is the first second of the year 10000; a claim at or after it is a mistake or a trick.
const endOfTime = 253402300800

// farFuture stands for every instant of more than eighteen digits.
var farFuture = instant{sec: 1e18}

// parseInstant reads the text of a JSON number. Fractions and exponents are fine; a number below
// zero gives false for ok and the instant 0. Numbers beyond eighteen digits saturate, far past
// endOfTime.
func parseInstant(number []byte) (t instant, ok bool) {
	if seconds, ok := wholeNumber(number); ok {
		return instant{sec: int64(seconds)}, true
	}
	negative := number[0] == '-'
	if negative {
		number = number[1:]
	}
	digits, exponent := splitNumber(number)
	places := exponent // how many digits stand before the decimal point
	point := false
	significant := number[:digits]
	for len(significant) > 0 && (significant[0] == '0' || significant[0] == '.') {
		if significant[0] == '.' {
			point = true
		} else if point {
			places--
		}
		significant = significant[1:]
	}
	for _, c := range significant {
		if c == '.' {
			break
		}
		if !point {
			places++
		}
	}
	if !anyDigit(significant) {
		return instant{}, true
	}
	if negative {
		return instant{}, false
	}
	if places > 18 {
		return farFuture, true
	}
	return placeDigits(significant, places), true
}

// splitNumber finds where the exponent begins and its value, held within ±100000.
func splitNumber(number []byte) (digits, exponent int) {
	for digits < len(number) && number[digits]|0x20 != 'e' {
		digits++
	}
	if digits == len(number) {
		return digits, 0
	}
	sign := 1
	for _, c := range number[digits+1:] {
		switch {
		case c == '-':
			sign = -1
		case c != '+' && exponent < 100000:
			exponent = exponent*10 + int(c-'0')
		}
	}
	return digits, sign * min(exponent, 100000)
}

func anyDigit(b []byte) bool {
	for _, c := range b {
		if c >= '1' && c <= '9' {
			return true
		}
	}
	return false
}

// placeDigits lays digits (a point among them is skipped) so that the first has the weight
// 10^(places-1). places is at most 18.
func placeDigits(digits []byte, places int) (t instant) {
	i := 0
	for place := places - 1; place >= -9; place-- {
		for i < len(digits) && digits[i] == '.' {
			i++
		}
		d := byte('0')
		if i < len(digits) {
			d = digits[i]
			i++
		}
		if place >= 0 {
			t.sec = t.sec*10 + int64(d-'0')
		} else {
			t.nsec = t.nsec*10 + int32(d-'0')
		}
	}
	t.more = anyDigit(digits[i:])
	return t
}

// instantOf gives t as an instant.
func instantOf(t time.Time) instant { return instant{sec: t.Unix(), nsec: int32(t.Nanosecond())} }

// time gives the instant cut to nanoseconds.
func (t instant) time() time.Time { return time.Unix(t.sec, int64(t.nsec)) }

// before reports t < u for a u without a remainder.
func (t instant) before(u instant) bool {
	return t.sec < u.sec || t.sec == u.sec && t.nsec < u.nsec
}

// after reports t > u for a u without a remainder.
func (t instant) after(u instant) bool {
	return u.before(t) || t.more && t.sec == u.sec && t.nsec == u.nsec
}

// ceil moves the instant up to a whole nanosecond.
func (t instant) ceil() instant {
	if t.more {
		t.more = false
		t.nsec++
		if t.nsec == 1e9 {
			t.sec, t.nsec = t.sec+1, 0
		}
	}
	return t
}

// add moves a whole-nanosecond instant by d.
func (t instant) add(d time.Duration) instant {
	t.sec += int64(d / time.Second)
	t.nsec += int32(d % time.Second)
	switch {
	case t.nsec >= 1e9:
		t.sec, t.nsec = t.sec+1, t.nsec-1e9
	case t.nsec < 0:
		t.sec, t.nsec = t.sec-1, t.nsec+1e9
	}
	return t
}

// floor cuts the instant to a whole nanosecond.
func (t instant) floor() instant {
	t.more = false
	return t
}
