package validate

import "time"

// claims are what the validator reads of a token's payload (RFC 7519 §4.1, RFC 9068 §2.2). Texts
// point into the work buffers and are gone when the call is over.
type claims struct {
	iss, sub, tid, azp, clientID, jti, sid, scope, acr text
	exp, iat, nbf, authTime                            instant
	amr, act                                           span // where the values are

	jkt, x5t Thumbprint // of cnf, where has says so
	binding  Code       // what is wrong with cnf

	oddEvents bool // events are none, or not of their form

	has      presence
	audience string // the one of ours that aud names; "" if it names none
	aud      span   // where its value is
}

// span is a part of the payload, which has less than maxMaxBytes.
type span struct{ from, to uint32 }

// presence holds one bit a claim.
type presence uint16

const (
	hasExp presence = 1 << iota
	hasIat
	hasNbf
	hasAuthTime
	hasJKT    // cnf.jkt
	hasX5T    // cnf.x5t#S256
	hasOddSID // there is a sid, but it is not a string
	hasNonce
	hasEvents
	hasLogout // the event of back-channel logout is among them
	hasWrong  // a claim that matters has the wrong form
)

// scanClaims reads a decoded payload; false means that it is not one strict JSON object.
func (v *Validator) scanClaims(c *claims, s *scanner, data []byte) bool {
	*c = claims{}
	s.reset(data, false)
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "iss":
			c.readText(s, &c.iss)
		case "sub":
			c.readText(s, &c.sub)
		case "tid":
			c.readText(s, &c.tid)
		case "azp":
			c.readText(s, &c.azp)
		case "client_id":
			c.readText(s, &c.clientID)
		case "jti":
			c.readText(s, &c.jti)
		case "exp":
			c.readTime(s, &c.exp, hasExp)
		case "iat":
			c.readTime(s, &c.iat, hasIat)
		case "nbf":
			c.readTime(s, &c.nbf, hasNbf)
		case "aud":
			v.readAudience(c, s)
		case "sid":
			if s.peek() != '"' {
				c.has |= hasOddSID
			}
			c.readOptional(s, &c.sid)
		case "scope":
			c.readOptional(s, &c.scope)
		case "acr":
			c.readOptional(s, &c.acr)
		case "amr":
			c.amr = s.skipSpan()
		case "act":
			c.act = s.skipSpan()
		case "auth_time":
			c.readAuthTime(s)
		case "nonce":
			c.has |= hasNonce
			s.skip()
		case "events":
			c.readEvents(s)
		case "cnf":
			c.readConfirmation(s)
		default:
			s.skip()
		}
	}
	return s.end()
}

// readText reads a claim that must be a non-empty string without control characters.
func (c *claims) readText(s *scanner, to *text) {
	if s.peek() != '"' {
		c.has |= hasWrong
		s.skip()
		return
	}
	*to = s.text()
	if len(to.b) == 0 || !to.plain && hasControl(to.b) {
		c.has |= hasWrong
	}
}

// readOptional reads a claim that says nothing unless it is a string.
func (c *claims) readOptional(s *scanner, to *text) {
	if s.peek() != '"' {
		s.skip()
		return
	}
	*to = s.text()
}

// logoutEvent is what makes a token a logout token (OIDC Back-Channel Logout §2.4).
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// readEvents reads events (RFC 8417 §2.2): an object of at least one event, each an object.
func (c *claims) readEvents(s *scanner) {
	c.has |= hasEvents
	c.oddEvents = true
	if s.peek() != '{' {
		s.skip()
		return
	}
	odd := false
	for o := s.object(); s.member(&o); s.skip() {
		odd = odd || s.peek() != '{'
		c.oddEvents = odd
		if string(o.name) == logoutEvent {
			c.has |= hasLogout
		}
	}
}

// readAuthTime reads auth_time (OIDC Core §2), which says nothing unless it is a NumericDate.
func (c *claims) readAuthTime(s *scanner) {
	wrong := c.has & hasWrong
	c.readTime(s, &c.authTime, hasAuthTime)
	if c.has&hasWrong != wrong {
		c.has &^= hasWrong | hasAuthTime
	}
}

// readTime reads a NumericDate: a JSON number, not negative, before the year 10000.
func (c *claims) readTime(s *scanner, to *instant, bit presence) {
	c.has |= bit
	if k := s.peek(); k != '-' && k-'0' > 9 {
		c.has |= hasWrong
		s.skip()
		return
	}
	number := s.number()
	if s.fault {
		return
	}
	t, ok := parseInstant(number)
	if !ok || t.sec >= endOfTime {
		c.has |= hasWrong
	}
	*to = t
}

// readAudience reads aud: a string or an array of strings and nothing else (RFC 7519 §4.1.3). A
// wrong form matches no audience.
func (v *Validator) readAudience(c *claims, s *scanner) {
	from := uint32(s.pos)
	switch s.peek() {
	case '"':
		c.audience = v.ours(s.text().b)
	case '[':
		sound := true
		for a := s.array(); s.element(&a); {
			if s.peek() != '"' {
				sound = false
				s.skip()
				continue
			}
			if ours := v.ours(s.text().b); ours != "" {
				c.audience = ours
			}
		}
		if !sound {
			c.audience = ""
		}
	default:
		s.skip()
	}
	c.aud = span{from, uint32(s.pos)}
}

// ours gives the configured audience of this name, or "".
func (v *Validator) ours(audience []byte) string {
	for _, a := range v.audiences {
		if string(audience) == a {
			return a
		}
	}
	return ""
}

// client gives the client that the token was issued to; both names agree when this is asked.
func (c *claims) client() text {
	if len(c.clientID.b) > 0 {
		return c.clientID
	}
	return c.azp
}

// checkClaims applies every rule about claims that needs no key.
func (v *Validator) checkClaims(h *header, c *claims, now time.Time) Code {
	if code := v.family.admits(h, c); code != "" {
		return code
	}
	if c.audience == "" {
		return CodeAudience
	}
	if code := v.checkTimes(c, instantOf(now)); code != "" {
		return code
	}
	if len(c.azp.b) > 0 && len(c.clientID.b) > 0 && string(c.azp.b) != string(c.clientID.b) {
		return CodeClient
	}
	if v.clients != nil && !v.clients[string(c.client().b)] {
		return CodeClient
	}
	if v.family == accessTokens {
		return c.binding
	}
	return ""
}

func (v *Validator) checkTimes(c *claims, now instant) Code {
	if v.family == securityEvents {
		return v.checkAge(c, now)
	}
	switch {
	case !c.exp.after(c.iat.ceil()):
		return CodeLifetime
	case c.exp.ceil().after(c.iat.floor().add(v.maxLifetime)):
		return CodeLifetime
	}
	return v.checkClock(c.iat, c.nbf, c.exp, now)
}

// checkClock holds a token's times to the clock, which may also have been set back.
func (v *Validator) checkClock(iat, nbf, exp, now instant) Code {
	latest := now.add(v.leeway)
	switch {
	case !exp.add(v.leeway).after(now):
		return CodeExpired
	case iat.after(latest) || nbf.after(latest):
		return CodeNotYetValid
	}
	return ""
}
