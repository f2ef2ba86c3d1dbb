package login

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"seawall/internal/secret"
	"seawall/internal/tenant"
)

// relyingParty is a tenant as WebAuthn sees it. All tenants of a host share the RP ID; user handles keep them apart.
func (d *Door) relyingParty(t *tenant.Tenant) (*webauthn.WebAuthn, error) {
	if d.rpID == "" {
		return nil, problemNoName
	}
	resident := true
	c := &webauthn.Config{
		RPID: d.rpID, RPDisplayName: t.ID, RPOrigins: []string{d.origin}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &resident, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{
			Login:        webauthn.TimeoutConfig{Timeout: tenant.CeremonyLife, TimeoutUVD: tenant.CeremonyLife},
			Registration: webauthn.TimeoutConfig{Timeout: tenant.CeremonyLife, TimeoutUVD: tenant.CeremonyLife},
		},
	}
	if t.Passkeys == tenant.Attested {
		if d.Metadata == nil {
			return nil, problemUnproven.because(errors.New("the tenant asks for certified authenticators, and this seawall was given no FIDO metadata"))
		}
		c.AttestationPreference, c.MDS = protocol.PreferDirectAttestation, d.Metadata.provider
	}
	return webauthn.New(c)
}

// algorithms are those of keys that we take, the preferred first.
func algorithms() []protocol.CredentialParameter {
	var list []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		list = append(list, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	return list
}

// user is a person with their passkeys as the library wants to see them.
type user struct {
	tenant.Person
	keys []tenant.Passkey
}

// WebAuthnID implements webauthn.User.
func (u user) WebAuthnID() []byte { return u.Handle[:] }

// WebAuthnName implements webauthn.User.
func (u user) WebAuthnName() string { return u.Login }

// WebAuthnDisplayName implements webauthn.User.
func (u user) WebAuthnDisplayName() string { return u.Name }

// WebAuthnCredentials implements webauthn.User.
func (u user) WebAuthnCredentials() []webauthn.Credential {
	var list []webauthn.Credential
	for _, k := range u.keys {
		c := webauthn.Credential{ID: k.ID, PublicKey: k.Key, AttestationFormat: k.Format, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
			Authenticator: webauthn.Authenticator{AAGUID: k.AAGUID[:], SignCount: k.Count}}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		list = append(list, c)
	}
	return list
}

func (u user) descriptors() []protocol.CredentialDescriptor {
	return webauthn.Credentials(u.WebAuthnCredentials()).CredentialDescriptors()
}

// options is what the browser's own interface wants.
type options struct {
	Options any `json:"options"`
	// Name and Login say whose link it is, at enrolment only.
	Name  string `json:"name,omitempty"`
	Login string `json:"login,omitempty"`
}

// begin keeps the state of a ceremony, as the library gave it, until it is finished.
func (d *Door) begin(v *visit, c tenant.Ceremony, state *webauthn.SessionData) error {
	text, err := json.Marshal(state)
	if err != nil {
		return err
	}
	c.Challenge, c.Browser = secret.New(state.Challenge).Hash(), d.browser(v)
	c.Tenant, c.State, c.ExpiresAt = v.tenant.ID, text, v.now.Add(tenant.CeremonyLife)
	return d.Store.BeginCeremony(v.settled(), c)
}

// consume takes the ceremony that an answer belongs to: once, and for nobody but the browser that began it.
func (d *Door) consume(v *visit, kind tenant.CeremonyKind, challenge string) (tenant.Ceremony, *webauthn.SessionData, error) {
	value, ok := d.cookie(v.Request, browserCookie, v.tenant.ID)
	if !ok {
		return tenant.Ceremony{}, nil, problemChallenge.because(errors.New("the browser has no cookie of ours"))
	}
	hash := secret.New(challenge).Hash()
	if d.Strays.Wait(v.tenant.ID, v.Request, v.now) > 0 { // in a flood, what was begun here is finished all the same
		begun, err := d.Store.HasCeremony(v.Context(), v.tenant.ID, hash, value.Hash())
		if err == nil && !begun {
			err = problemBusy
		}
		if err != nil {
			return tenant.Ceremony{}, nil, err
		}
	}
	c, err := d.Store.ConsumeCeremony(v.settled(), v.tenant.ID, kind, hash, value.Hash())
	if errors.Is(err, tenant.ErrNotFound) {
		d.Strays.Failed(v.tenant.ID, v.Request, v.now)
		return c, nil, problemChallenge.because(err)
	}
	if err != nil {
		return c, nil, err
	}
	state := new(webauthn.SessionData)
	return c, state, json.Unmarshal(c.State, state)
}

// registration begins the registration of one more passkey. An authenticator that has one already is told not to make
// another, except when all of them are about to be left behind.
func (d *Door) registration(v *visit, c tenant.Ceremony, p tenant.Person, why tenant.Reason) (*options, error) {
	rp, err := d.relyingParty(v.tenant)
	if err != nil {
		return nil, err
	}
	u := user{Person: p}
	if why != tenant.Recovered {
		if u.keys, err = d.Store.Passkeys(v.Context(), p.Tenant, p.ID); err != nil {
			return nil, err
		}
	}
	creation, state, err := rp.BeginRegistration(u, webauthn.WithExclusions(u.descriptors()), webauthn.WithCredentialParameters(algorithms()))
	if err != nil {
		return nil, err
	}
	c.Person = p.ID
	if err := d.begin(v, c, state); err != nil {
		return nil, err
	}
	return &options{Options: creation.Response, Name: p.Name, Login: p.Login}, nil
}

// registered checks an authenticator's answer to a registration.
func (d *Door) registered(v *visit, p tenant.Person, why tenant.Reason, name string, state *webauthn.SessionData, answer *protocol.ParsedCredentialCreationData) (tenant.Passkey, error) {
	rp, err := d.relyingParty(v.tenant)
	if err != nil {
		return tenant.Passkey{}, err
	}
	c, err := rp.CreateCredential(user{Person: p}, *state, answer)
	if err != nil {
		if v.tenant.Passkeys == tenant.Attested {
			return tenant.Passkey{}, problemUnproven.because(explained(err))
		}
		return tenant.Passkey{}, problemRefused.because(explained(err))
	}
	k := tenant.Passkey{Tenant: p.Tenant, Person: p.ID, ID: c.ID, Name: name, Key: c.PublicKey, Flags: byte(c.Flags.ProtocolValue()),
		Count: c.Authenticator.SignCount, Format: c.AttestationFormat, CreatedAt: v.now}
	copy(k.AAGUID[:], c.Authenticator.AAGUID)
	for _, t := range c.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	if v.tenant.Passkeys == tenant.Attested {
		k.Attested, k.Hardware = d.Metadata.vouches(v.Context(), k, c)
		if k.Attestation, err = json.Marshal(c.Attestation); err != nil {
			return tenant.Passkey{}, err
		}
	}
	if k, err = tenant.NewPasskey(k); err != nil {
		return tenant.Passkey{}, problemMalformed.because(err)
	}
	if err := errors.Join(v.tenant.AdmitsPasskey(k), p.Admits(k, why)); err != nil {
		return tenant.Passkey{}, problemTier.because(err)
	}
	return k, nil
}

// asserted checks an authenticator's answer to a sign-in and returns whose it is, and the passkey as the answer shows it:
// with its counter and flags. A counter that went back is for the caller to act on.
func (d *Door) asserted(v *visit, c tenant.Ceremony, state *webauthn.SessionData, answer *protocol.ParsedCredentialAssertionData) (who tenant.Person, used tenant.Passkey, cloned bool, err error) {
	rp, err := d.relyingParty(v.tenant)
	if err != nil {
		return who, used, false, err
	}
	p, err := d.Store.PersonByHandle(v.Context(), v.tenant.ID, answer.Response.UserHandle)
	if errors.Is(err, tenant.ErrNotFound) && c.Person != "" && len(answer.Response.UserHandle) == 0 {
		p, err = d.Store.Person(v.Context(), v.tenant.ID, c.Person) // a known person's authenticator need not name them
	}
	if errors.Is(err, tenant.ErrNotFound) {
		return who, used, false, refusal{"", "the passkey is nobody's here", err}
	}
	if err != nil {
		return who, used, false, err
	}
	u := user{Person: p}
	if u.keys, err = d.Store.Passkeys(v.Context(), p.Tenant, p.ID); err != nil {
		return who, used, false, err
	}
	i := slices.IndexFunc(u.keys, func(k tenant.Passkey) bool { return bytes.Equal(k.ID, answer.RawID) })
	switch {
	case !p.Live():
		return who, used, false, refusal{p.ID, "the person is disabled", nil}
	case i < 0:
		return who, used, false, refusal{p.ID, "the passkey is not theirs", nil}
	case !u.keys[i].Live():
		return who, used, false, refusal{p.ID, "the passkey is suspended", nil}
	}
	if err := v.tenant.SignsIn(u.keys[i]); err != nil {
		return who, used, false, refusal{p.ID, "the passkey is less than the tenant asks for", err}
	}
	var credential *webauthn.Credential
	if len(state.UserID) > 0 {
		credential, err = rp.ValidateLogin(u, *state, answer)
	} else {
		_, credential, err = rp.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return u, nil }, *state, answer)
	}
	if err != nil {
		return who, used, false, refusal{p.ID, "the answer does not verify", explained(err)}
	}
	used = u.keys[i]
	data := answer.Response.AuthenticatorData
	used.Count, used.Flags = data.Counter, byte(data.Flags)
	return p, used, credential.Authenticator.CloneWarning, nil
}

// refusal is a sign-in refused: whose it would have been, if that is known, and why.
type refusal struct {
	person, reason string
	cause          error
}

// Unwrap returns the cause.
func (r refusal) Unwrap() error { return r.cause }

// Error is for logs.
func (r refusal) Error() string {
	if r.cause == nil {
		return r.reason
	}
	return r.reason + ": " + r.cause.Error()
}

// explained keeps the kind and the details of a library error, which hold no secret: a challenge is spent by now.
func explained(err error) error {
	var e *protocol.Error
	if errors.As(err, &e) {
		return fmt.Errorf("%s: %s", e.Type, e.Details)
	}
	return err
}

// proved says what a ceremony with a passkey proved: never what was asked for. User verification was checked, so with the
// key there were two factors; which second one it was (a PIN, a finger) nobody told us (RFC 8176 §2).
func proved(k tenant.Passkey) (acr string, amr []string) {
	switch {
	case k.Attested && k.Hardware && !k.Synced():
		return tenant.PhishingResistantHardware, []string{"hwk", "mfa", "user"}
	case k.Synced():
		return tenant.PhishingResistant, []string{"mfa", "swk", "user"}
	}
	return tenant.PhishingResistant, []string{"mfa", "pop", "user"} // whether hardware holds the key is its own word
}

// open makes a session for a sign-in that happened now, and the secret of its cookie.
func open(v *visit, k tenant.Passkey) (tenant.Session, secret.Text) {
	value := newSecret()
	acr, amr := proved(k)
	return tenant.Session{ID: newID(), Hash: value.Hash(), Tenant: k.Tenant, Person: k.Person, Passkey: k.ID, ACR: acr, AMR: amr,
		Device: device(v.UserAgent()), Place: place(v.RemoteAddr), At: v.now, SeenAt: v.now}, value
}

// place is the network address of a browser, as the connection says. Behind a proxy it is the proxy's: a header that
// anybody can send is no address.
func place(remote string) string {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return "?"
	}
	return peer.Addr().Unmap().WithZone("").String()
}

// certified are the attestation types that a maker's certificate stands behind. Self attestation is the authenticator's
// own word.
var certified = []string{string(metadata.BasicFull), string(metadata.AttCA), string(metadata.AnonCA)}
