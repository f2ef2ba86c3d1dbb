package login

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/go-webauthn/webauthn/webauthn"

	"seawall/internal/tenant"
)

// Metadata is what is known about models of authenticators: the FIDO Metadata Service's document, from a file, so that it
// works without the Internet. Its signature was checked against a pinned root.
type Metadata struct {
	provider metadata.Provider
	Number   int       // of the document
	Models   int       // how many it knows
	Until    time.Time // when the next one is due
}

// ReadMetadata reads a metadata document (FIDO Metadata Service v3.0 §3.1.7, a JWS). root is the PEM certificate that its
// chain must end in; empty: the FIDO Alliance's.
func ReadMetadata(document, root []byte) (*Metadata, error) {
	opts := []metadata.DecoderOption{metadata.WithIgnoreEntryParsingErrors()}
	if len(root) > 0 {
		block, _ := pem.Decode(root)
		if block == nil {
			return nil, errors.New("FIDO metadata: the root is no PEM certificate")
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("FIDO metadata: the root: %w", err)
		}
		opts = append(opts, metadata.WithRootCertificate(base64.StdEncoding.EncodeToString(block.Bytes)))
	}
	decoder, err := metadata.NewDecoder(opts...)
	if err != nil {
		return nil, fmt.Errorf("FIDO metadata: %w", err)
	}
	payload, err := decoder.DecodeBytes(document)
	if err != nil {
		return nil, fmt.Errorf("FIDO metadata: the document is not signed under the root, or damaged: %w", err)
	}
	parsed, err := decoder.Parse(payload)
	if err != nil {
		return nil, fmt.Errorf("FIDO metadata: %w", err)
	}
	models := parsed.ToMap()
	provider, err := memory.New(memory.WithMetadata(models), memory.WithValidateEntry(true), memory.WithValidateTrustAnchor(true),
		memory.WithValidateStatus(true), memory.WithValidateAttestationTypes(true))
	if err != nil {
		return nil, fmt.Errorf("FIDO metadata: %w", err)
	}
	return &Metadata{provider: provider, Number: parsed.Parsed.Number, Models: len(models), Until: parsed.Parsed.NextUpdate}, nil
}

// vouches reports whether a maker's certificate that the metadata knows stands behind a passkey whose registration has
// been verified, and whether the metadata says that its hardware keeps the key.
func (m *Metadata) vouches(ctx context.Context, k tenant.Passkey, c *webauthn.Credential) (attested, hardware bool) {
	if k.AAGUID == [16]byte{} || !slices.Contains(certified, c.AttestationType) {
		return false, false
	}
	entry, err := m.provider.GetEntry(ctx, k.AAGUID)
	if err != nil || entry == nil {
		return false, false
	}
	return true, slices.Contains(entry.MetadataStatement.KeyProtection, "hardware")
}
