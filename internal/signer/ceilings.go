package signer

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"seawall/internal/keyring"
	"seawall/internal/keystore"
)

// Ceilings are what no policy may exceed on this host. They are a file in the signer's own directory, which the house
// cannot write; whoever runs the host may edit it and restart the signer.
type Ceilings struct {
	// MaxLifetime is the longest life of any token, in seconds. Default 86400 (a day), at most 30 days. A lower value
	// shortens what existing policies allow at once.
	MaxLifetime int64 `json:"max_lifetime"`
	// MaxIDLifetime is the longest life of an ID token, in seconds; MaxLifetime bounds it too. Default 3600 (an hour), at
	// most 30 days. A file from before there were ID tokens means the default.
	MaxIDLifetime int64 `json:"max_id_lifetime"`
	// MaxAudiences is the largest number of APIs of one tenant. Default 1000, at most 2000.
	MaxAudiences int `json:"max_audiences"`
	// MaxTenants is the largest number of tenants. Default 1000.
	MaxTenants int `json:"max_tenants"`
	// MaxRotationDays is the longest time that a key may sign for. Default 90, at most 398.
	MaxRotationDays int `json:"max_rotation_days"`
	// Algorithms are the JWS algorithms that tenants may choose from. Default: all that the key store offers.
	Algorithms []string `json:"algorithms"`
	// IssuerPrefix, if set, is what every issuer begins with, e.g. "https://id.example/". Default: not set.
	IssuerPrefix string `json:"issuer_prefix,omitempty"`
}

const (
	ceilingsFile      = "ceilings.json"
	defaultIDLifetime = 3600
)

// DefaultCeilings are those of a first start.
func DefaultCeilings() Ceilings {
	return Ceilings{MaxLifetime: 86400, MaxIDLifetime: defaultIDLifetime, MaxAudiences: 1000, MaxTenants: 1000, MaxRotationDays: 90,
		Algorithms: slices.Clone(keystore.Algorithms)}
}

func (c *Ceilings) check() error {
	switch {
	case c.MaxLifetime < 1 || c.MaxLifetime > 30*86400:
		return errors.New("max_lifetime must be between 1 and 2592000 seconds")
	case c.MaxIDLifetime < 1 || c.MaxIDLifetime > 30*86400:
		return errors.New("max_id_lifetime must be between 1 and 2592000 seconds")
	case c.MaxAudiences < 1 || c.MaxAudiences > 2000:
		return errors.New("max_audiences must be between 1 and 2000")
	case c.MaxTenants < 1:
		return errors.New("max_tenants must be at least 1")
	case c.MaxRotationDays < int(keyring.MinRotation/day) || c.MaxRotationDays > 398:
		return errors.New("max_rotation_days must be between 2 and 398")
	case len(c.Algorithms) == 0:
		return errors.New("algorithms must name at least one")
	}
	for _, alg := range c.Algorithms {
		if !slices.Contains(keystore.Algorithms, alg) {
			return fmt.Errorf("algorithms: %q is none of %v", alg, keystore.Algorithms)
		}
	}
	return nil
}

// loadCeilings reads the ceilings, which the first start writes. A file that is gone later is not replaced by defaults:
// that would be a way to raise them.
func loadCeilings(d *disk, first bool) (Ceilings, error) {
	var c Ceilings
	err := d.readJSON(ceilingsFile, &c)
	if errors.Is(err, fs.ErrNotExist) && first {
		c = DefaultCeilings()
		err = d.writeJSON(ceilingsFile, c)
	}
	if c.MaxIDLifetime == 0 {
		c.MaxIDLifetime = defaultIDLifetime
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return c, refused("the ceilings cannot be used: %w; correct %s, or restore it from a backup", err, d.path(ceilingsFile))
	}
	return c, nil
}
