package validate

import "seawall/validate/internal/wire"

// header is what the validator reads of a token's JOSE header (RFC 7515 §4). Keys, URLs,
// certificates and thumbprints that a header may carry are never looked at.
type header struct {
	alg      Alg
	kind     string // the matching entry of Types, or Untyped
	kid      []byte
	receipts int // how often the name rcpt occurs at any depth
}

// scanHeader reads a decoded header and gives the first thing that is wrong with it.
func (v *Validator) scanHeader(h *header, s *scanner, data []byte) Code {
	*h = header{}
	s.reset(data, false)
	s.watch = "rcpt"
	var alg, typ []byte
	crit, typed := false, false
	s.space()
	for o := s.object(); s.member(&o); {
		switch string(o.name) {
		case "alg":
			alg = s.optionalText()
		case "typ":
			typed = true
			typ = s.optionalText()
		case "kid":
			h.kid = s.optionalText()
		case "crit", "b64":
			crit = true
			s.skip()
		default:
			s.skip()
		}
	}
	h.receipts = s.seen
	if !s.end() {
		return CodeJSON
	}
	if h.alg = v.allowedAlg(alg); h.alg == "" {
		return CodeAlg
	}
	if crit {
		return CodeCrit
	}
	if h.kind = v.allowedKind(typ); !typed && v.untyped {
		h.kind = Untyped
	}
	if h.kind == "" {
		return CodeTyp
	}
	if len(h.kid) == 0 || hasControl(h.kid) {
		return CodeKid
	}
	return ""
}

// optionalText reads a string and gives nil for a value of another kind.
func (s *scanner) optionalText() []byte {
	if s.peek() != '"' {
		s.skip()
		return nil
	}
	return s.text().b
}

func (v *Validator) allowedAlg(alg []byte) Alg {
	for _, a := range v.algorithms {
		if string(alg) == string(a) {
			return a
		}
	}
	return ""
}

// allowedKind compares typ with the allowed types, without ASCII case and with or without a leading
// "application/" (RFC 7515 §4.1.9, RFC 9068 §4).
func (v *Validator) allowedKind(typ []byte) string {
	typ = trimApplication(typ)
	for _, kind := range v.types {
		if equalFold(typ, kind) {
			return kind
		}
	}
	return ""
}

const application = "application/"

func trimApplication(typ []byte) []byte {
	if len(typ) > len(application) && equalFold(typ[:len(application)], application) {
		return typ[len(application):]
	}
	return typ
}

// equalFold compares b with a lower-case text, folding ASCII letters only: under Unicode folding
// some letters outside ASCII would count as equal to letters inside it.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// hasControl reports whether UTF-8 text holds a control character (Unicode category Cc).
func hasControl(b []byte) bool {
	for i, c := range b {
		if c < 0x20 || c == 0x7f || c == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0 {
			return true
		}
	}
	return false
}

// cutReceipt takes the receipt out of a header that ends in one, bytewise, as the ledger saw it: the
// last wire.ReceiptTail bytes become one closing brace. Any other form is refused, because parsing
// and writing a header again would let one receipt cover two headers. In a sound JSON object that
// ends like this, with that name in no other place, it is the last member.
func (w *work) cutReceipt() bool {
	data := w.headerBytes
	at := len(data) - wire.ReceiptTail
	if at < 0 {
		return false
	}
	spelled := data[at+len(wire.ReceiptOpen):]
	if string(data[at:at+len(wire.ReceiptOpen)]) != wire.ReceiptOpen ||
		string(spelled[wire.ReceiptChars:]) != wire.ReceiptClose {
		return false
	}
	var room [wire.ReceiptBytes + 8]byte // appendBase64 wants some to spare
	receipt, ok := appendBase64(room[:0], spelled[:wire.ReceiptChars])
	if !ok || !w.receipt.Parse(receipt) {
		return false
	}
	data[at] = '}'
	w.bare = data[:at+1]
	return true
}
