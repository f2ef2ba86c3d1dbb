package validate

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

const (
	maxFeedEvent = 1 << 20 // bytes of one event; a snapshot that is larger is fetched as a document

	feedSilence  = 15 * time.Second // without a newer head: three were due
	feedPoll     = 40 * time.Second // for one long poll, of which the server may wait 25
	feedRetry    = time.Second      // before a new attempt, unless the stream's retry field says otherwise
	maxFeedRetry = 15 * time.Second // between attempts that fail
	maxFeedWait  = time.Minute      // that a Retry-After may ask for
	feedPolling  = 5 * time.Minute  // by long polls, before streams are tried again
	feedPatience = 15 * time.Second // for a document, and a second more for each
	feedPace     = 256 << 10        // bytes that come
)

func newFeedClient(transport http.RoundTripper) *http.Client {
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			TLSHandshakeTimeout:    fetchTimeout,
			ResponseHeaderTimeout:  feedPoll,
			IdleConnTimeout:        90 * time.Second,
			MaxIdleConnsPerHost:    1,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// link is the connection to a feed, owned by the goroutine that follows it.
type link struct {
	*feed
	pollUntil time.Time     // long polls are used until then
	retry     time.Duration // what the server asks for between attempts
	wait      time.Duration // what its Retry-After asks for now
	failures  int           // in a row
}

// follow loads the feed and keeps up with it until the validator is closed.
func (f *feed) follow() {
	l := &link{feed: f, retry: feedRetry}
	for f.ctx.Err() == nil {
		again, failure := l.attempt()
		f.streaming.Store(false)
		if failure != nil {
			l.refuse(failure)
		}
		f.once.Do(func() { close(f.tried) })
		if !again {
			l.pause(failure != nil)
		}
	}
}

// refuse says that an attempt ended badly.
func (l *link) refuse(failure *loadError) {
	l.refusal.Store(failure)
	if failure.code.alarm() {
		l.alarms.Add(1)
	}
	l.tell(Event{Kind: FeedRefused, Code: failure.code, Notes: []string{failure.text}})
}

// attempt loads a snapshot if it must, and then follows a stream until it ends, or asks once what
// has changed. It tells whether to go on at once.
func (l *link) attempt() (again bool, failure *loadError) {
	if l.root == nil {
		set, code := l.keys(l.ctx)
		if code != "" {
			return false, loadErrorf(CodeFeedUnavailable, "the keys of %s, and its ledger root with them, are not loaded: %s", l.issuer, code.Reason())
		}
		l.root = set.root
	}
	if l.head.Load() == nil || l.resync {
		l.resync = false
		if failure := l.load(); failure != nil {
			return false, failure
		}
		l.once.Do(func() { close(l.tried) })
	}
	if time.Now().Before(l.pollUntil) {
		again, failure = l.poll()
	} else {
		failure = l.stream()
	}
	// After an alarm, perhaps a snapshot tells the truth. If not, the next attempt does without.
	l.resync = l.resync || failure != nil && failure.code.alarm()
	return again, failure
}

// pause waits before the next attempt, longer after each failure. Many validators must not come
// back at the same moment.
func (l *link) pause(failed bool) {
	d := l.retry
	if failed {
		d = min(maxFeedRetry, l.retry<<min(l.failures, 5))
		l.failures++
	}
	timer := time.NewTimer(max(d/2+rand.N(d/2+1), l.wait))
	defer timer.Stop()
	l.wait = 0
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	}
}

// load fetches the snapshot as a document.
func (l *link) load() *loadError {
	return l.document("", feedPatience, func(j *feedReader) error {
		_, failure := l.takeSnapshot(j)
		return failure.orNil()
	})
}

// poll asks what has changed, and waits for it on the server's side.
func (l *link) poll() (again bool, _ *loadError) {
	var head []byte
	began, snapshot, newer := time.Now(), false, false
	failure := l.document("/changes?after="+strconv.FormatUint(l.at.N, 10), feedPoll, func(j *feedReader) error {
		return j.object(func(name string) (err error) {
			var failure *loadError
			switch name {
			case `"statements"`:
				return j.array(func() error {
					again = true
					raw, err := j.value()
					if err != nil {
						return err
					}
					return l.takeStatement(raw).orNil()
				})
			case `"head"`:
				head, err = j.value()
				head = bytes.Clone(head)
				return err
			case `"snapshot"`:
				snapshot = true
				newer, failure = l.takeSnapshot(j)
				return failure.orNil()
			}
			_, err = j.value()
			return err
		})
	})
	switch {
	case failure != nil:
		l.pollUntil = time.Time{} // perhaps streams get through by now
		return false, failure
	case head != nil: // it speaks of the statements, wherever it stood
		if newer, failure = l.takeHead(head); failure != nil {
			return false, failure
		}
	case !snapshot:
		return false, malformed("answer", errFeedForm)
	}
	if newer {
		l.failures = 0
	}
	return newer && (again || time.Since(began) >= l.retry), nil // a server that does not wait is given time
}

// document fetches a JSON document and has it read while it arrives.
func (l *link) document(path string, patience time.Duration, read func(*feedReader) error) *loadError {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	deadline := newPace(cancel, patience)
	defer deadline.timer.Stop()
	resp, failure := l.get(ctx, path, "application/json", nil)
	if failure != nil {
		return failure
	}
	defer resp.Body.Close()
	j := newFeedReader(&paced{resp.Body, deadline})
	err := read(j)
	if err == nil {
		err = j.end()
	}
	if err == nil || errors.As(err, &failure) {
		return failure
	}
	return malformed("answer", err)
}

// stream follows the events until the stream ends, which is a failure only if no newer head came.
func (l *link) stream() *loadError {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	silence := time.AfterFunc(feedSilence, cancel)
	defer silence.Stop()
	resp, failure := l.get(ctx, "/events", "text/event-stream", http.Header{"Last-Event-Id": {strconv.FormatUint(l.at.N, 10)}})
	if failure != nil {
		if resp != nil && failure.code != CodeFeedDenied || ctx.Err() != nil {
			l.pollUntil = time.Now().Add(feedPolling)
		}
		return failure
	}
	defer resp.Body.Close()
	events := eventReader{r: bufio.NewReader(resp.Body)}
	through := false
	for {
		e, err := events.next()
		if e.retry > 0 {
			l.retry = min(max(e.retry, feedRetry/10), maxFeedRetry)
		}
		if err == nil {
			newer, failure := l.take(&e)
			if failure != nil {
				return failure
			}
			if newer {
				silence.Reset(feedSilence)
				l.failures, through = 0, true
				l.streaming.Store(true)
			}
			continue
		}
		switch {
		case errors.Is(err, errFeedLarge) && e.name == "snapshot":
			l.resync = true // as a document it may be larger
			return nil
		case errors.Is(err, errFeedLarge):
			return malformed("event", err)
		case through && ctx.Err() == nil:
			return nil
		}
		if !through || ctx.Err() != nil { // perhaps something on the way keeps events back
			l.pollUntil = time.Now().Add(feedPolling)
		}
		if ctx.Err() != nil {
			return loadErrorf(CodeFeedUnavailable, "the stream brought no newer head for %v", feedSilence)
		}
		return loadErrorf(CodeFeedUnavailable, "the stream ended before a newer head came")
	}
}

// take lets one event count. Events with names that are not known are left aside.
func (l *link) take(e *event) (newer bool, failure *loadError) {
	switch e.name {
	case "statement":
		return false, l.takeStatement(e.data)
	case "head":
		return l.takeHead(e.data)
	case "snapshot":
		return l.takeSnapshot(newFeedReader(bytes.NewReader(e.data)))
	}
	return false, nil
}

// get sends a request with the credentials. Only a 200 of the right type counts. With a failure the
// response tells that there was an answer at all.
func (l *link) get(ctx context.Context, path, accept string, header http.Header) (*http.Response, *loadError) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+path, nil)
	if err != nil {
		return nil, loadErrorf(CodeFeedUnavailable, "asking for the distrust feed of %s: %v", l.issuer, err)
	}
	if header != nil {
		req.Header = header
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("Accept-Encoding", "identity") // what is compressed could pass the limits on size
	req.Header.Set("User-Agent", "seawall-validate/"+Version)
	req.SetBasicAuth(url.QueryEscape(l.id), url.QueryEscape(l.secret.reveal())) // RFC 6749 §2.3.1
	resp, err := l.client.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = errors.New("there was no answer in time")
		}
		return nil, loadErrorf(CodeFeedUnavailable, "asking for the distrust feed of %s: %v", l.issuer, err)
	}
	failure := l.judge(resp, accept)
	if failure != nil {
		resp.Body.Close()
	}
	return resp, failure
}

// judge looks at status and type of an answer.
func (l *link) judge(resp *http.Response, want string) *loadError {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return loadErrorf(CodeFeedDenied, "the distrust feed of %s answered %d: are ID and Secret those of an API of this issuer?", l.issuer, resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
			l.wait = min(time.Duration(seconds)*time.Second, maxFeedWait)
		}
		return loadErrorf(CodeFeedUnavailable, "the distrust feed of %s answered %d; only 200 counts, redirects are not followed", l.issuer, resp.StatusCode)
	case kind != want:
		return loadErrorf(CodeFeedMalformed, "the distrust feed of %s answered with %.64q instead of %s", l.issuer, kind, want)
	}
	return nil
}

// pace ends a transfer that is too slow: it has so much time, and more for all that came.
type pace struct {
	timer *time.Timer
	end   time.Time
}

func newPace(cancel func(), patience time.Duration) *pace {
	return &pace{timer: time.AfterFunc(patience, cancel), end: time.Now().Add(patience)}
}

// paced reads under a pace.
type paced struct {
	r io.Reader
	*pace
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.end = p.end.Add(time.Duration(n) * time.Second / feedPace)
	p.timer.Reset(time.Until(p.end))
	return n, err
}

// event is one Server-Sent Event (HTML Living Standard, section 9.2).
type event struct {
	name  string
	data  []byte
	retry time.Duration // of the stream, if a field said so
}

// eventReader takes a stream of events apart. An event's number is not read from its id: it is in
// what the ledger signed.
type eventReader struct {
	r    *bufio.Reader
	line []byte
	size int // bytes of the current event
}

// next gives the next event. If one is too large, it gives what it is called as far as that is known.
func (r *eventReader) next() (e event, err error) {
	r.size = 0
	lines := 0
	for {
		if err := r.readLine(); err != nil {
			return e, err
		}
		if len(r.line) == 0 {
			if lines > 0 {
				return e, nil
			}
			r.size, e.name = 0, "" // an event without data is none
			if e.retry > 0 {
				return e, nil
			}
			continue
		}
		name, value, _ := bytes.Cut(r.line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.name = string(value)
		case "data":
			if lines++; lines > 1 {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
}

// readLine reads one line without its end. The lines of one event are counted together.
func (r *eventReader) readLine() error {
	r.line = r.line[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		r.line = append(r.line, part...)
		if r.size += len(part); r.size > maxFeedEvent {
			return errFeedLarge
		}
		switch err {
		case nil:
			r.line = bytes.TrimSuffix(bytes.TrimSuffix(r.line, []byte("\n")), []byte("\r"))
			return nil
		case bufio.ErrBufferFull:
		default:
			return err
		}
	}
}
