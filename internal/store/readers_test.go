package store

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"seawall/internal/tenant"
)

// Readers that hold a connection must never wait for a second one: as many as there are connections would then wait for
// each other, for ever. A store that was just opened has prepared nothing yet.
func TestManyFirstReadersDoNotWaitForEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seawall.db")
	for range 20 {
		s, err := Open(t.Context(), path, Options{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		var all sync.WaitGroup
		for range 8 * readers {
			all.Go(func() {
				if _, err := s.Client(ctx, "acme", "ci"); err == nil || ctx.Err() != nil {
					t.Errorf("a client that is not there: %v", err)
				}
				if _, err := s.Tenants(ctx); err != nil {
					t.Errorf("tenants: %v", err)
				}
				if _, err := s.APIs(ctx, "acme"); !errors.Is(err, tenant.ErrNotFound) {
					t.Errorf("APIs of a tenant that is not there: %v", err)
				}
			})
		}
		all.Wait()
		cancel()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
}
