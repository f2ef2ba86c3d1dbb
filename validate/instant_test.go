package validate

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"
)

func TestParseInstant(t *testing.T) {
	for text, want := range map[string]instant{
		"0": {}, "-0": {}, "0.0e5": {}, "1": {sec: 1}, "1790000000": {sec: 1790000000}, "1.5": {sec: 1, nsec: 5e8}, "1790000000.123456789": {sec: 1790000000, nsec: 123456789},
		"1.1234567891": {sec: 1, nsec: 123456789, more: true}, "1.1234567890": {sec: 1, nsec: 123456789}, "1.79e9": {sec: 1790000000}, "17900000000e-1": {sec: 1790000000},
		"0.000000001": {nsec: 1}, "0.0000000001": {more: true}, "1e-9": {nsec: 1}, "1e-10": {more: true}, "1e-99999999999": {more: true}, "123e-2": {sec: 1, nsec: 23e7},
		"0.00123e3": {sec: 1, nsec: 23e7}, "253402300799": {sec: 253402300799}, "253402300800": {sec: 253402300800}, "1e18": farFuture, "999999999999999999": {sec: 999999999999999999},
		"9223372036854775808": farFuture, "1e400": farFuture, "1e99999999999999999999": farFuture, "10.01": {sec: 10, nsec: 1e7}, "100.0": {sec: 100},
	} {
		if got, ok := parseInstant([]byte(text)); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"-1", "-0.1", "-1e-300", "-1e300"} {
		if _, ok := parseInstant([]byte(text)); ok {
			t.Errorf("%s was taken", text)
		}
	}
}

func FuzzInstant(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.5", "1790000000.000000001", "1e9", "12.34e-5", "0.00001e5", "1e-12", "9e17", "1.000000000000000000001", "100000e-3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) || strings.TrimLeft(text, "-0123456789.eE+") != "" || len(text) == 0 || len(text) > 60 {
			return
		}
		if _, exponent := splitNumber([]byte(strings.TrimLeft(text, "-"))); exponent > 1000 || exponent < -1000 {
			return // too large for the reference
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q: no number", text)
		}
		got, ok := parseInstant([]byte(text))
		if exact.Sign() < 0 {
			if ok {
				t.Fatalf("%q: a negative time was taken", text)
			}
			return
		}
		if exact.Cmp(new(big.Rat).SetInt64(1e18)) >= 0 {
			if got != farFuture {
				t.Fatalf("%q: %+v", text, got)
			}
			return
		}
		nanos := new(big.Rat).Mul(exact, new(big.Rat).SetInt64(1e9))
		whole := new(big.Int).Quo(nanos.Num(), nanos.Denom())
		mine := new(big.Int).Add(new(big.Int).Mul(big.NewInt(got.sec), big.NewInt(1e9)), big.NewInt(int64(got.nsec)))
		if !ok || mine.Cmp(whole) != 0 || got.more == nanos.IsInt() {
			t.Fatalf("%q: %+v, want %s ns", text, got, nanos.FloatString(3))
		}
	})
}

func TestInstantOrder(t *testing.T) {
	now := instantOf(time.Unix(100, 5))
	for _, c := range []struct {
		t      instant
		before bool
		after  bool
	}{
		{instant{sec: 100, nsec: 4}, true, false}, {instant{sec: 100, nsec: 4, more: true}, true, false}, {instant{sec: 100, nsec: 5}, false, false},
		{instant{sec: 100, nsec: 5, more: true}, false, true}, {instant{sec: 101}, false, true}, {instant{sec: 99, nsec: 9}, true, false},
	} {
		if c.t.before(now) != c.before || c.t.after(now) != c.after {
			t.Errorf("%+v: before %v, after %v", c.t, c.t.before(now), c.t.after(now))
		}
	}
	if got := (instant{sec: 1, nsec: 999999999, more: true}).ceil(); got != (instant{sec: 2}) {
		t.Errorf("ceil: %+v", got)
	}
	for d, want := range map[time.Duration]instant{time.Second: {sec: 2, nsec: 5e8}, -600 * time.Millisecond: {nsec: 9e8}, 700 * time.Millisecond: {sec: 2, nsec: 2e8}} {
		if got := (instant{sec: 1, nsec: 5e8}).add(d); got != want {
			t.Errorf("add %v: %+v, want %+v", d, got, want)
		}
	}
}
