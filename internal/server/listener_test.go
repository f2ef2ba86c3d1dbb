package server

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// pair is an accepted connection and its other end.
func pair(t *testing.T, l *limited) (ours, theirs net.Conn) {
	t.Helper()
	theirs, err := net.Dial("tcp", l.Addr().String())
	must(t, theirs, err)
	t.Cleanup(func() { theirs.Close() })
	ours, err = l.Accept()
	must(t, ours, err)
	t.Cleanup(func() { ours.Close() })
	return ours, theirs
}

func watched(t *testing.T, n int, every time.Duration) *limited {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, tcp, err)
	l := newLimited(tcp, n)
	ended := make(chan struct{})
	go func() { l.watch(every); close(ended) }()
	t.Cleanup(func() { l.Close(); <-ended }) // after the connections: clean-ups run in reverse
	return l
}

// TestDeadlinesEnd: a peer that sends nothing, or takes nothing, does not hold a connection for ever.
func TestDeadlinesEnd(t *testing.T) {
	l := watched(t, 4, time.Millisecond)
	ours, theirs := pair(t, l)
	buf := make([]byte, 1)
	if err := ours.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading from a silent peer: %v", err)
	}
	if _, err := ours.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading again: %v", err)
	}
	if err := ours.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(buf); err != nil {
		t.Errorf("reading without a deadline: %v", err)
	}
	if err := ours.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = ours.Write(make([]byte, 1<<20))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("writing to a peer that takes nothing: %v", err)
	}
	if err := ours.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, theirs)
	if _, err := ours.Write([]byte("x")); err != nil {
		t.Errorf("writing after the deadline was moved: %v", err)
	}
	if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := ours.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline in the past, which net/http uses to interrupt: %v", err)
	}
}

func TestPlacesAreGivenBackOnce(t *testing.T) {
	l := watched(t, 1, time.Millisecond)
	ours, _ := pair(t, l)
	for range 3 {
		ours.Close()
	}
	again, _ := pair(t, l)
	if len(l.free) != 1 {
		t.Errorf("%d places are taken, want 1", len(l.free))
	}
	again.Close()
	l.Close()
	if _, err := l.Accept(); err == nil {
		t.Error("a closed listener accepts")
	}
}
