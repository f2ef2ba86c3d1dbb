package server

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"seawall/internal/mint"
)

const (
	// tellFailures is how often failed authentications are recorded. One entry for each would let strangers fill the log.
	tellFailures = time.Minute
	// maxFailing is how many names are told apart in one period; what goes beyond is counted without its client.
	maxFailing = 32
)

// failures counts failed authentications until they are recorded in the ledger.
type failures struct {
	record func(ctx context.Context, entries ...*mint.Entry) error
	log    *slog.Logger

	mu     sync.Mutex
	counts map[failing]int
}

// failing is where an authentication failed. Client and API are set only if there is one of that name: what a stranger
// made up is not recorded.
// Subject and reason are set when it was a person's sign-in that was refused.
type failing struct{ tenant, client, api, subject, reason string }

// note counts a failure. It never waits.
func (f *failures) note(where failing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil {
		f.counts = map[failing]int{}
	}
	if _, known := f.counts[where]; !known && len(f.counts) >= maxFailing {
		where.client, where.api, where.subject = "", "", ""
	}
	if _, known := f.counts[where]; !known && len(f.counts) >= 2*maxFailing {
		return // as many tenants under attack at once: the log has what it needs
	}
	f.counts[where]++
}

// tell records the failures of every period until ctx ends, and the last ones after it.
func (f *failures) tell(ctx context.Context) {
	tick := time.NewTicker(tellFailures)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.flush(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// flush records what was counted. What can't be recorded is counted on.
func (f *failures) flush(ctx context.Context) {
	f.mu.Lock()
	counts := f.counts
	f.counts = nil
	f.mu.Unlock()
	var entries []*mint.Entry
	for where, n := range counts {
		e := &mint.Entry{Kind: mint.AuthFailed, Tenant: where.tenant, Client: where.client, Detail: []mint.Field{
			{Name: "count", Value: strconv.Itoa(n)}, {Name: "reason", Value: "authentication failed"},
		}}
		if where.reason != "" {
			e.Kind, e.Subject, e.Detail[1].Value = mint.SignInRefused, where.subject, where.reason
		}
		if where.api != "" {
			e.Detail = append(e.Detail, mint.Field{Name: "api_id", Value: where.api})
		}
		entries = append(entries, e)
	}
	if len(entries) == 0 {
		return
	}
	if err := f.record(ctx, entries...); err != nil {
		f.log.WarnContext(ctx, "failed authentications are not recorded yet", "cause", err)
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.counts == nil {
			f.counts = map[failing]int{}
		}
		for where, n := range counts {
			f.counts[where] += n
		}
	}
}
