package mint

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSigner answers mint messages on connections it hands to a client.
type fakeSigner struct {
	conns chan net.Conn
	mu    sync.Mutex
	seen  [][]string // jtis of each message, in order
}

func newFakeSigner() *fakeSigner { return &fakeSigner{conns: make(chan net.Conn, 4)} }

func (s *fakeSigner) dial(ctx context.Context) (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect serves one more connection with answer, which returns the body of the
// answer or nil to hang up.
func (s *fakeSigner) connect(t *testing.T, answer func(requests []*Request, encoded [][]byte) []byte) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	go func() {
		r, w := NewFrameReader(ours), NewFrameWriter(ours)
		for {
			f, err := r.Next(true)
			if err != nil {
				return
			}
			encoded, err := ReadRequests(f.Body)
			if err != nil {
				t.Errorf("reading requests: %v", err)
				return
			}
			body := answer(s.note(t, encoded), encoded)
			if body == nil {
				ours.Close()
				return
			}
			w.Write(f.Type, f.ID, func(b []byte) []byte { return append(b, body...) })
		}
	}()
	s.conns <- theirs
}

func (s *fakeSigner) note(t *testing.T, encoded [][]byte) []*Request {
	var list []*Request
	var ids []string
	for _, e := range encoded {
		q, err := ReadRequest(e)
		if err != nil {
			t.Errorf("reading a request: %v", err)
			continue
		}
		list, ids = append(list, q), append(ids, q.JTI)
	}
	s.mu.Lock()
	s.seen = append(s.seen, ids)
	s.mu.Unlock()
	return list
}

func echo(requests []*Request, encoded [][]byte) []byte {
	answers := make([]Answer, len(encoded))
	for i := range encoded {
		answers[i] = Answer{Request: RequestDigest(encoded[i]), Token: []byte("token for " + requests[i].JTI)}
	}
	return AppendAnswers(nil, Head{Size: 1}, answers)
}

func request(tenant string) *Request {
	return &Request{Tenant: tenant, Issuer: "https://id.example/" + tenant, Kind: AccessToken, Subject: "s",
		Audience: []string{"a"}, ClientID: "c", JTI: NewJTI(), Lifetime: 60}
}

func TestRetryKeepsItsJTI(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s := newFakeSigner()
	c := NewClient(ctx, s.dial, nil)
	s.connect(t, func([]*Request, [][]byte) []byte { return nil }) // takes the request and dies
	s.connect(t, echo)
	q := request("acme")
	token, err := c.Mint(ctx, q)
	if err != nil || string(token) != "token for "+q.JTI {
		t.Fatalf("got %q, %v", token, err)
	}
	if len(s.seen) != 2 || s.seen[0][0] != q.JTI || s.seen[1][0] != q.JTI {
		t.Fatalf("the signer saw %v, want the same jti twice", s.seen)
	}
}

func TestAnswerToAnotherRequestEndsTheConnection(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s := newFakeSigner()
	c := NewClient(ctx, s.dial, nil)
	s.connect(t, func(_ []*Request, encoded [][]byte) []byte {
		return AppendAnswers(nil, Head{}, []Answer{{Request: Digest{9}, Token: []byte("somebody else's")}})
	})
	s.connect(t, echo)
	q := request("acme")
	token, err := c.Mint(ctx, q)
	if err != nil || string(token) != "token for "+q.JTI {
		t.Fatalf("got %q, %v: an answer with another digest must never be delivered", token, err)
	}
}

func TestRefusalReachesItsCaller(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s := newFakeSigner()
	c := NewClient(ctx, s.dial, nil)
	s.connect(t, func(_ []*Request, encoded [][]byte) []byte {
		return AppendAnswers(nil, Head{}, []Answer{{Request: RequestDigest(encoded[0]), Refusal: Refuse(LifetimeTooLong, "an hour at most")}})
	})
	_, err := c.Mint(ctx, request("acme"))
	if !errors.Is(err, &Refusal{Code: LifetimeTooLong}) {
		t.Fatalf("got %v", err)
	}
}

func TestNoSignerIsUnavailable(t *testing.T) {
	c := NewClient(t.Context(), newFakeSigner().dial, nil)
	if _, err := c.Mint(t.Context(), request("acme")); !errors.Is(err, &Refusal{Code: Unavailable}) {
		t.Fatalf("got %v", err)
	}
}

// gathering is a client in a bubble whose signer answers when it is told to.
type gathering struct {
	t      *testing.T
	ctx    context.Context
	client *Client
	signer *fakeSigner
	tell   chan struct{}
	asking sync.WaitGroup
}

func (g *gathering) ask() {
	g.asking.Go(func() {
		if _, err := g.client.Mint(g.ctx, request("acme")); err != nil && g.ctx.Err() == nil {
			g.t.Errorf("a request: %v", err)
		}
	})
	synctest.Wait()
}

// answer has the message under way answered.
func (g *gathering) answer() {
	select {
	case g.tell <- struct{}{}:
	case <-time.After(time.Second):
		g.t.Fatal("no message is under way")
	}
	synctest.Wait()
}

// saw compares the sizes of the messages so far.
func (g *gathering) saw(when string, want ...int) {
	g.t.Helper()
	g.signer.mu.Lock()
	defer g.signer.mu.Unlock()
	var got []int
	for _, ids := range g.signer.seen {
		got = append(got, len(ids))
	}
	if !slices.Equal(got, want) {
		g.t.Fatalf("%s the signer has seen messages of %v, want %v", when, got, want)
	}
}

func gatherTest(t *testing.T, test func(g *gathering)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := &gathering{t: t, ctx: ctx, signer: newFakeSigner(), tell: make(chan struct{})}
		defer g.asking.Wait()
		defer cancel()
		g.client = NewClient(ctx, g.signer.dial, nil)
		g.signer.connect(t, func(requests []*Request, encoded [][]byte) []byte {
			select {
			case <-g.tell:
				return echo(requests, encoded)
			case <-ctx.Done():
				return nil
			}
		})
		synctest.Wait()
		test(g)
	})
}

// TestWhoWasAnsweredIsWaitedFor: two groups of clients that take turns become one, and stay one whoever comes back first.
func TestWhoWasAnsweredIsWaitedFor(t *testing.T) {
	gatherTest(t, func(g *gathering) {
		g.ask()
		g.ask()
		g.ask()
		g.saw("while one is under way", 1)
		g.answer()
		g.saw("before the first has come back", 1)
		g.ask()
		g.saw("when it has", 1, 3)
		g.answer()
		g.ask()
		g.ask()
		g.saw("before the third has come back", 1, 3)
		g.ask()
		g.saw("when it has, too", 1, 3, 3)
		g.answer()
	})
}

// TestMoreThanIsWorthwhileIsNotWaitedFor: of many who were answered, those who come back first leave while others are on their way.
func TestMoreThanIsWorthwhileIsNotWaitedFor(t *testing.T) {
	gatherTest(t, func(g *gathering) {
		for range 2 * worthwhile {
			g.ask()
		}
		g.answer()
		g.answer()
		g.saw("before a message is worthwhile", 1, worthwhile)
		g.ask()
		g.saw("when it is", 1, worthwhile, worthwhile)
		g.answer()
	})
}

// TestNobodyWaitsAlone: a client that asks one thing after the other is never kept.
func TestNobodyWaitsAlone(t *testing.T) {
	gatherTest(t, func(g *gathering) {
		var seen []int
		for range 3 {
			g.ask()
			seen = append(seen, 1)
			g.saw("at once", seen...)
			g.answer()
		}
	})
}

// TestNobodyIsWaitedForInVainForLong: who waits leaves after a moment. Then some leave at once, and more of them when it is
// in vain again.
func TestNobodyIsWaitedForInVainForLong(t *testing.T) {
	gatherTest(t, func(g *gathering) {
		var seen []int
		leaves := func(when string, size int) {
			t.Helper()
			seen = append(seen, size)
			g.saw(when, seen...)
		}
		disappoint := func() { // two come while one is under way, and that one does not come back
			t.Helper()
			g.ask()
			leaves("at once", 1)
			g.ask()
			g.ask()
			g.answer()
			g.saw("before the time is over", seen...)
			time.Sleep(gatherTime)
			synctest.Wait()
			leaves("after it", 2)
			g.answer()
		}
		for _, hasty := range []int{1, 3, 7, 15, 31, 63, mostHasty} {
			disappoint()
			for range hasty - 1 { // the one that waited was the first to land without being waited for
				g.ask()
				leaves("without waiting", 1)
				g.ask()
				g.answer()
				leaves("without waiting for who was answered", 1)
				g.answer()
			}
		}
		g.ask()
		leaves("at once", 1)
		g.ask()
		g.answer()
		g.ask()
		leaves("when who was answered has come back", 2)
		g.answer()
		time.Sleep(gatherTime) // in vain, as if for the first time
		g.ask()
		leaves("without waiting, once", 1)
		g.ask()
		g.answer()
		leaves("at once, since only one does not wait", 1)
		g.answer()
		disappoint()
	})
}

// TestBothTravelTogether: a client that is idle sends what it gets at once, and would send two messages for two calls.
func TestBothTravelTogether(t *testing.T) {
	gatherTest(t, func(g *gathering) {
		access, id := request("acme"), request("acme")
		g.asking.Go(func() {
			a, b, err := g.client.MintBoth(g.ctx, access, id)
			if err != nil || string(a) != "token for "+access.JTI || string(b) != "token for "+id.JTI {
				g.t.Errorf("got %q and %q, %v", a, b, err)
			}
		})
		synctest.Wait()
		g.saw("together", 2)
		g.answer()
	})
}

// TestBothOrNone: whichever of the two is refused, neither is returned.
func TestBothOrNone(t *testing.T) {
	for refused := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		s := newFakeSigner()
		c := NewClient(ctx, s.dial, nil)
		s.connect(t, func(_ []*Request, encoded [][]byte) []byte {
			answers := []Answer{{Request: RequestDigest(encoded[0]), Token: []byte("a")}, {Request: RequestDigest(encoded[1]), Token: []byte("b")}}
			answers[refused].Token, answers[refused].Refusal = nil, Refuse(ClientUnregistered, "")
			return AppendAnswers(nil, Head{}, answers)
		})
		a, b, err := c.MintBoth(ctx, request("acme"), request("acme"))
		if !errors.Is(err, &Refusal{Code: ClientUnregistered}) || a != nil || b != nil {
			t.Errorf("the request %d refused: got %q and %q, %v", refused, a, b, err)
		}
	}
	long := request("acme")
	long.Audience = slices.Repeat([]string{string(make([]byte, MaxText))}, MaxAudiences)
	c := NewClient(t.Context(), newFakeSigner().dial, nil)
	for _, pair := range [][2]*Request{{long, request("acme")}, {request("acme"), long}} {
		if _, _, err := c.MintBoth(t.Context(), pair[0], pair[1]); !errors.Is(err, &Refusal{Code: Malformed}) {
			t.Errorf("a request over the limit: %v", err)
		}
	}
	if c.queued != 0 {
		t.Error("one of the two was queued though the other can't be sent")
	}
}

func TestTenantsTakeTurns(t *testing.T) {
	c := &Client{queues: map[string][]*item{}}
	for range 500 {
		c.enqueue(&item{tenant: "noisy"})
	}
	for range 5 {
		c.enqueue(&item{tenant: "quiet"})
	}
	count := map[string]int{}
	for _, it := range c.take() {
		count[it.tenant]++
	}
	if count["quiet"] != 5 || count["noisy"] != MaxBatch-5 {
		t.Fatalf("the next message has %v: the quiet tenant must not wait behind the noisy one", count)
	}
}

func TestNobodyWaitsForWhatIsGone(t *testing.T) {
	c := &Client{queues: map[string][]*item{}}
	c.enqueue(&item{tenant: "acme", gone: true}, &item{tenant: "acme"})
	if batch := c.take(); len(batch) != 1 || batch[0].gone || c.queued != 0 {
		t.Fatalf("took %d requests, %d still queued", len(batch), c.queued)
	}
}

func TestFullQueueIsBusy(t *testing.T) {
	c := &Client{queues: map[string][]*item{}}
	for range maxQueued {
		c.enqueue(&item{tenant: "acme"})
	}
	if c.enqueue(&item{tenant: "acme"}) {
		t.Fatal("the queue has no end")
	}
}
