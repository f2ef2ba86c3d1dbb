// Package prometheus gives the counts of a validate.Validator to Prometheus. It is a module of its
// own, so that nobody who only validates tokens inherits what Prometheus needs:
//
//	import seawall "seawall/adapters/prometheus"
//
//	registry.MustRegister(seawall.Collector(v))
//
// Counting happens in validate whether anybody collects or not; collecting reads the counts and holds
// no token up. The labels are what is configured, the keys that issuers list, and reason codes from a
// closed list. No token can add to them: what it names and nobody knows is counted with an empty
// label. Nothing says who a token was about.
//
// A program with several validators, or with one for access tokens and one for ID tokens, tells them
// apart with a label of its own:
//
//	prometheus.WrapRegistererWith(prometheus.Labels{"api": "orders"}, registry).MustRegister(seawall.Collector(v))
package prometheus

import (
	"github.com/prometheus/client_golang/prometheus"

	"seawall/validate"
)

// accepted is the code of a token that was not refused, and of an event that went well. No reason
// code is called so.
const accepted = "ok"

var (
	info = prometheus.NewDesc("seawall_validate_info",
		"Always 1. The version of the library that validates.",
		[]string{"version"}, nil)
	tokens = prometheus.NewDesc("seawall_validate_tokens_total",
		"Tokens that were judged. The code is ok, or why they were refused; an empty label means that the token named nothing that is known.",
		[]string{"issuer", "audience", "type", "key", "code"}, nil)
	events = prometheus.NewDesc("seawall_validate_events_total",
		"What happened to the keys and the distrust feed of an issuer. The code is ok, or why they were refused.",
		[]string{"issuer", "event", "code"}, nil)
	keysAge = prometheus.NewDesc("seawall_validate_keys_age_seconds",
		"Age of the issuer's keys in use, since they left the issuer. At 86400 every token is refused with keys_stale.",
		[]string{"issuer"}, nil)
	feedAge = prometheus.NewDesc("seawall_validate_feed_age_seconds",
		"Age of what is known from the issuer's distrust feed, since the time that its ledger signed.",
		[]string{"issuer"}, nil)
	feedAlarms = prometheus.NewDesc("seawall_validate_feed_alarms_total",
		"Answers of the issuer's distrust feed that no failure explains: something between ledger and validator does what it should not.",
		[]string{"issuer"}, nil)
)

// Source is what has counts: a validate.Validator, or one of its kin for other kinds of tokens.
type Source interface{ Stats() validate.Stats }

// Collector gives a validator's counts to a Prometheus registry.
func Collector(s Source) prometheus.Collector { return collector{s} }

type collector struct{ source Source }

// Describe names the metrics.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{info, tokens, events, keysAge, feedAge, feedAlarms} {
		to <- d
	}
}

// Collect gives them as they are now.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.source.Stats()
	to <- metric(info, prometheus.GaugeValue, 1, s.Version)
	for _, t := range s.Tokens {
		to <- metric(tokens, prometheus.CounterValue, float64(t.Count), t.Issuer, t.Audience, t.Type, t.KeyID, word(t.Code))
	}
	for _, e := range s.Events {
		to <- metric(events, prometheus.CounterValue, float64(e.Count), e.Issuer, string(e.Kind), word(e.Code))
	}
	for _, i := range s.Issuers {
		if i.KeysAge >= 0 {
			to <- metric(keysAge, prometheus.GaugeValue, i.KeysAge.Seconds(), i.Issuer)
		}
	}
	for _, f := range s.Feeds {
		if f.Phase != validate.FeedStarting {
			to <- metric(feedAge, prometheus.GaugeValue, f.Age.Seconds(), f.Issuer)
		}
		to <- metric(feedAlarms, prometheus.CounterValue, float64(f.Alarms), f.Issuer)
	}
}

func metric(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) prometheus.Metric {
	m, err := prometheus.NewConstMetric(d, kind, value, labels...)
	if err != nil { // a configured name that is not UTF-8
		return prometheus.NewInvalidMetric(d, err)
	}
	return m
}

func word(c validate.Code) string {
	if c == "" {
		return accepted
	}
	return string(c)
}
