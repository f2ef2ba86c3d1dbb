package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"seawall/internal/mint"
	"seawall/internal/server/adminapi"
)

// callTime bounds a control message to a vault.
const callTime = 5 * time.Second

// Parts of seawall that can be away, as health names them.
const (
	partSigner = "signer"
	partLedger = "ledger"
	partRoot   = "ledger-root"
	partLog    = "log"
)

// vaults is the house's side of its two links, and what it knows about who answers there.
type vaults struct {
	signer *mint.Client
	ledger *mint.Caller
	head   *mint.HeadFile
	log    *slog.Logger
	now    func() time.Time

	// root is the ledger root that the house remembers, nil until it knows one. Set by keys.
	root atomic.Pointer[string]

	mu       sync.Mutex
	greeted  bool              // the ledger has answered hello on the present connection
	ledgers  string            // root of the ledger that did
	level    string            // the walls around it
	troubles map[string]string // by part: alarms that no waiting mends
	health   mint.Health       // the signer's last word
	deaf     string            // why the signer's last question got no answer
	mute     bool              // the ledger's last hello got no answer
}

// newVaults connects to both vaults until ctx ends. The ledger is told the head that the house remembers before
// anything else, on every connection.
func newVaults(ctx context.Context, signer, ledger mint.Dial, head *mint.HeadFile, log *slog.Logger, now func() time.Time) *vaults {
	v := &vaults{head: head, log: log, now: now, troubles: map[string]string{}, deaf: "not asked yet"}
	v.signer = mint.NewClient(ctx, signer, v.remember)
	ready := make(chan struct{})
	v.ledger = mint.NewCaller(ctx, v.watched(ledger), func() { <-ready; v.greet() })
	close(ready)
	return v
}

// watched notes that a new connection has not been greeted.
func (v *vaults) watched(dial mint.Dial) mint.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		v.mu.Lock()
		v.greeted = false
		v.mu.Unlock()
		return dial(ctx)
	}
}

// greet introduces the house to the ledger. Messages of one connection are answered in order, so whatever is asked next
// is asked by a house that has said hello.
func (v *vaults) greet() {
	question, err := json.Marshal(v.hello())
	if err != nil {
		v.log.Error("the ledger can't be greeted", "cause", err)
		return
	}
	v.ledger.Go(mint.MsgHello, func(b []byte) []byte { return append(b, question...) }, func(body []byte, err error) {
		if err != nil {
			return // the connection broke; there will be another
		}
		hello := new(mint.Hello)
		if err := mint.ReadJSONAnswer(body, hello); err != nil {
			v.trouble(partLog, refusedHello(err))
			return
		}
		v.mu.Lock()
		v.greeted, v.mute, v.ledgers, v.level = true, false, hello.Document.Root, hello.Level
		delete(v.troubles, partLog)
		v.mu.Unlock()
		if head, err := hello.Head(); err == nil {
			v.remember(head)
		}
	})
}

// hello is how the house introduces itself: by the end of the log that it remembers.
func (v *vaults) hello() mint.HelloQuery {
	head := v.head.Head()
	q := mint.HelloQuery{Size: head.Size}
	if head.Size > 0 {
		q.Batch = head.Batch.String()
	}
	return q
}

func refusedHello(err error) string {
	if errors.Is(err, mint.Refuse(mint.StateRolledBack, "")) {
		return "the log is shorter than what this house remembers, or another: entries were removed. Run `seawall log verify` and restore the ledger's directory"
	}
	return "the ledger refused this house: " + err.Error()
}

// remember keeps a head that the ledger told, and raises the alarm when it contradicts what was kept.
func (v *vaults) remember(head mint.Head) {
	switch err := v.head.Remember(head); {
	case errors.Is(err, mint.ErrOtherHistory):
		v.trouble(partLog, err.Error()+". Run `seawall log verify`")
	case err != nil:
		v.trouble(partLog, "the head of the log can't be remembered: "+err.Error())
	}
}

// trouble notes an alarm and tells it once.
func (v *vaults) trouble(part, reason string) {
	v.mu.Lock()
	known := v.troubles[part] == reason
	v.troubles[part] = reason
	v.mu.Unlock()
	if !known {
		v.log.Error("seawall is not safe to use", "part", part, "reason", reason)
	}
}

// stranger reports whether the ledger that answers is another than the one the house has always known.
func (v *vaults) stranger() bool {
	known := v.root.Load()
	v.mu.Lock()
	defer v.mu.Unlock()
	return known != nil && v.greeted && v.ledgers != *known
}

// record appends entries of the house's own kinds to the log, and returns when they are durable.
func (v *vaults) record(ctx context.Context, entries ...*mint.Entry) error {
	if v.stranger() {
		return mint.Refuse(mint.StateRolledBack, "%v", errOtherRoot)
	}
	for _, e := range entries {
		e.SortDetail()
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := v.ledger.Call(ctx, mint.MsgEntries, func(b []byte) []byte { return mint.AppendEntries(b, entries) })
	if err != nil {
		return err
	}
	appended := new(mint.Appended)
	if err := mint.ReadJSONAnswer(body, appended); err != nil {
		return err
	}
	head, err := appended.Head()
	if err != nil {
		return err
	}
	v.remember(head)
	return nil
}

// askLedger sends the ledger a question of the house.
func (v *vaults) askLedger(ctx context.Context, typ mint.MsgType, question, answer any) error {
	if v.stranger() {
		return mint.Refuse(mint.StateRolledBack, "%v", errOtherRoot)
	}
	patience := callTime
	if typ == mint.MsgWatch {
		patience += mint.WatchTime * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return v.ledger.CallJSON(ctx, typ, question, answer)
}

// state has the ledger state something in a distrust feed.
func (v *vaults) state(ctx context.Context, q mint.StateQuery) (*mint.Distrust, error) {
	stated := new(mint.Stated)
	if err := v.askLedger(ctx, mint.MsgState, q, stated); err != nil {
		return nil, err
	}
	head, err := stated.Head()
	if err != nil {
		return nil, err
	}
	v.remember(head)
	return &stated.Statement, nil
}

// ask sends a control message to the signer.
func (v *vaults) ask(ctx context.Context, typ mint.MsgType, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	return v.signer.CallJSON(ctx, typ, question, answer)
}

// watch asks the signer every second how it is, and more often while it is not well, until ctx ends.
func (v *vaults) watch(ctx context.Context) {
	repeat(ctx, func() bool {
		var health mint.Health
		err := v.ask(ctx, mint.MsgHealth, struct{}{}, &health)
		v.mu.Lock()
		defer v.mu.Unlock()
		if err != nil {
			v.deaf = err.Error()
			return false
		}
		v.health, v.deaf = health, ""
		return health.Ledger
	})
}

// listen says hello to the ledger every second, until ctx ends: one that stands still is connected, too.
func (v *vaults) listen(ctx context.Context) {
	repeat(ctx, func() bool {
		if !v.ledger.Connected() {
			return false
		}
		ask, cancel := context.WithTimeout(ctx, callTime)
		defer cancel()
		err := v.ledger.CallJSON(ask, mint.MsgHello, v.hello(), new(mint.Hello))
		v.mu.Lock()
		v.mute = isAway(err)
		v.mu.Unlock()
		if err != nil && !isAway(err) {
			v.trouble(partLog, refusedHello(err))
		}
		return err == nil
	})
}

// repeat calls do every second while it returns true. After a false it is called again soon, then less and less often:
// at a start everything is there within milliseconds.
func repeat(ctx context.Context, do func() bool) {
	const soon, steady = 5 * time.Millisecond, time.Second
	next := soon
	for {
		pause := steady
		if do() {
			next = soon
		} else {
			pause, next = next, min(next*3/2, steady)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// away lists what keeps the house from issuing tokens; empty when it truly serves.
func (v *vaults) away() []adminapi.Absence {
	signer, ledger, stranger := v.signer.Connected(), v.ledger.Connected(), v.stranger()
	v.mu.Lock()
	defer v.mu.Unlock()
	list := []adminapi.Absence{}
	switch {
	case !signer:
		list = append(list, adminapi.Absence{Part: partSigner, Reason: "it is restarting or unreachable"})
	case v.deaf != "":
		list = append(list, adminapi.Absence{Part: partSigner, Reason: "it does not answer: " + v.deaf})
	case !v.health.Ledger:
		list = append(list, adminapi.Absence{Part: partLedger, Reason: "the signer does not reach it"})
	}
	_, alarm := v.troubles[partLog]
	switch {
	case alarm:
	case !ledger || !v.greeted:
		list = append(list, adminapi.Absence{Part: partLedger, Reason: "it is restarting or unreachable"})
	case v.mute:
		list = append(list, adminapi.Absence{Part: partLedger, Reason: "it does not answer"})
	}
	if stranger {
		list = append(list, adminapi.Absence{Part: partRoot, Reason: errOtherRoot.Error()})
	}
	for part, reason := range v.troubles {
		list = append(list, adminapi.Absence{Part: part, Reason: reason})
	}
	slices.SortFunc(list, func(a, b adminapi.Absence) int {
		if a.Part != b.Part {
			return strings.Compare(a.Part, b.Part)
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return list
}

// said returns the signer's last word about itself.
func (v *vaults) said() mint.Health {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.health
}

// wall returns what the ledger said of the walls around it.
func (v *vaults) wall() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.level
}

// isAway reports whether an error passes by itself.
func isAway(err error) bool {
	return errors.Is(err, mint.Refuse(mint.Unavailable, "")) || errors.Is(err, mint.Refuse(mint.Busy, "")) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
