package signer

import "sync"

// crew runs work on goroutines that stay. Signing needs a deep stack, and a goroutine made for one message would grow it
// anew each time, which costs as much as some messages.
type crew struct {
	work    chan func()
	stop    chan struct{}
	members sync.WaitGroup
}

func newCrew() *crew { return &crew{work: make(chan func()), stop: make(chan struct{})} }

// do runs f on an idle member, or on a new one. There are as many members as were ever busy at once; callers bound that.
func (c *crew) do(f func()) {
	select {
	case c.work <- f:
	default:
		c.members.Go(func() { c.serve(f) })
	}
}

func (c *crew) serve(f func()) {
	for {
		f()
		select {
		case f = <-c.work:
		case <-c.stop:
			return
		}
	}
}

// close lets the members go and waits for them. Nobody may call do any more.
func (c *crew) close() {
	close(c.stop)
	c.members.Wait()
}
