package store

import (
	"testing"
	"time"

	"path/filepath"

	"seawall/internal/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t testing.TB, dir string, now func() time.Time) storetest.Store {
		t.Helper()
		s, err := Open(t.Context(), filepath.Join(dir, "seawall.db"), Options{Now: now})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
