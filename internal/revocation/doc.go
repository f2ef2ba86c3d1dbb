// Package revocation says what it means to stop believing something: a key, or the tokens of a session, a subject or a
// client, or one token; and to believe it again.
//
// A [Plan] is what somebody asks for, as a value. [Look] finds whom it would affect and changes nothing. [Apply] is the
// only way to carry a plan out. Both work on what they are given: small interfaces of the two vaults, which decide for
// themselves whether they do it. Nothing here says anything about a person, and nothing here can: a feed has no word for
// it, and a revocation neither raises a risk nor blocks a sign-in.
package revocation
