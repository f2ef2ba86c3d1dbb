package oauth

// Metadata describes an issuer: the document of RFC 8414 §2 and of OpenID Connect Discovery §3, which share their
// names. Members that are left empty are left out, so that a document tells only what works; the two that the standards
// require even when empty are always there.
type Metadata struct {
	Issuer                        string       `json:"issuer"`
	AuthorizationEndpoint         string       `json:"authorization_endpoint,omitempty"`
	TokenEndpoint                 string       `json:"token_endpoint,omitempty"`
	UserinfoEndpoint              string       `json:"userinfo_endpoint,omitempty"`
	EndSessionEndpoint            string       `json:"end_session_endpoint,omitempty"` // OpenID Connect RP-Initiated Logout 1.0 §2.1
	JWKSURI                       string       `json:"jwks_uri,omitempty"`
	ScopesSupported               []string     `json:"scopes_supported,omitempty"`
	ClaimsSupported               []string     `json:"claims_supported,omitempty"`
	ResponseTypesSupported        []string     `json:"response_types_supported"` // REQUIRED; [] without an authorization endpoint
	ResponseModesSupported        []string     `json:"response_modes_supported,omitempty"`
	ResponseIssSupported          bool         `json:"authorization_response_iss_parameter_supported,omitempty"` // RFC 9207 §3
	CodeChallengeMethodsSupported []string     `json:"code_challenge_methods_supported,omitempty"`               // RFC 7636, RFC 8414 §2
	PromptValuesSupported         []Prompt     `json:"prompt_values_supported,omitempty"`                        // Initiating User Registration 1.0 §4.1
	ACRValuesSupported            []string     `json:"acr_values_supported,omitempty"`
	UILocalesSupported            []string     `json:"ui_locales_supported,omitempty"`
	ClaimsParameterSupported      *bool        `json:"claims_parameter_supported,omitempty"`
	RequestParameterSupported     *bool        `json:"request_parameter_supported,omitempty"`
	RequestURIParameterSupported  *bool        `json:"request_uri_parameter_supported,omitempty"` // left out would mean true
	GrantTypesSupported           []GrantType  `json:"grant_types_supported"`                     // left out would mean the default, which is not ours
	SubjectTypesSupported         []string     `json:"subject_types_supported,omitempty"`
	IDTokenSigningAlgsSupported   []string     `json:"id_token_signing_alg_values_supported,omitempty"`
	TokenAuthMethodsSupported     []AuthMethod `json:"token_endpoint_auth_methods_supported,omitempty"`
	TokenAuthSigningAlgsSupported []string     `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	DPoPSigningAlgsSupported      []string     `json:"dpop_signing_alg_values_supported,omitempty"`                     // RFC 9449 §5.1
	IntrospectionEndpoint         string       `json:"introspection_endpoint,omitempty"`                                // RFC 7662
	IntrospectionAuthMethods      []AuthMethod `json:"introspection_endpoint_auth_methods_supported,omitempty"`         // RFC 8414 §2
	RevocationEndpoint            string       `json:"revocation_endpoint,omitempty"`                                   // RFC 7009
	RevocationAuthMethods         []AuthMethod `json:"revocation_endpoint_auth_methods_supported,omitempty"`            // RFC 8414 §2
	RevocationAuthSigningAlgs     []string     `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"` // RFC 8414 §2
	SeawallLedger                 string       `json:"seawall_ledger,omitempty"`                                        // the pin; see docs/formats.md
	SeawallDistrustFeed           string       `json:"seawall_distrust_feed,omitempty"`                                 // see docs/formats.md
}
