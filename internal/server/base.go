package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"seawall/internal/durable"
	"seawall/internal/mint"
	"seawall/internal/tenant"
)

// baseFile remembers the base URL that the ledger was told.
const baseFile = "base-url"

// settleBase refuses a base URL under which a tenant would not be found: every token, validator and client knows a
// tenant by its issuer, and the signer has bound the two for good.
func (s *Server) settleBase(ctx context.Context) error {
	all, err := s.config.Store.Tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Issuer == s.config.Base+"/"+t.ID {
			continue
		}
		known := t.Issuer[:len(t.Issuer)-len(t.ID)-1]
		return tenant.Refuse(tenant.ErrConflict, "start with --base "+known+", or listen where that leads; a new base URL needs a new data directory",
			"the base URL would be %s, and the tenant %s is known to its clients under %s", s.config.Base, t.ID, t.Issuer)
	}
	return nil
}

// recordBase tells the ledger the base URL when it is a new one, and tries until it has.
func (s *Server) recordBase(ctx context.Context) {
	path := filepath.Join(s.config.Dir, baseFile)
	told, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.ErrorContext(ctx, "the remembered base URL can't be read", "cause", err)
	}
	for string(told) != s.config.Base {
		err := s.vaults.record(ctx, &mint.Entry{Kind: mint.BaseRecorded, Actor: "house", Detail: []mint.Field{{Name: "base", Value: s.config.Base}}})
		if err == nil {
			err = durable.Replace(path, []byte(s.config.Base), 0o600)
		}
		if err == nil {
			return
		}
		if !isAway(err) {
			s.log.ErrorContext(ctx, "the base URL is not recorded yet", "cause", fmt.Errorf("recording it: %w", err))
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}
