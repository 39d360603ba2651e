// Package sealed implements sealed exchanges: one HTTP request and its answer
// between a client and a verified enclave, through anybody. The format is
// docs/spec/sealed.md.
//
// A sealed message is, from outside to inside: chunked Oblivious HTTP (package
// ohttp, with labels of its own), one padded frame in each chunk, and Binary
// HTTP (package bhttp) across the frames. All that can be seen on the way is
// how many frames of which size pass, and when; a size is 64*2^k bytes, at most
// 16 KiB. Padding has no switch.
//
// The client makes an [Exchange] from an *attestation.Verified, which only the
// verifier can make: there is no other way to seal. It may be prepared before
// the request exists, and serves one request; a retry is a fresh Exchange, and
// is allowed only before a byte was sent or after an authenticated "not
// started" ([NotStarted]).
//
// The enclave makes a [Keyring] at boot, puts [Keyring.Configs] into its claims,
// and opens requests with [Keyring.Open]. Private keys live in memory only and
// are dropped when their time is over. A request that was seen before is
// refused. [Inbound.Reply] streams the answer; each write is a frame of its own,
// sent at once.
//
// Header fields pass in both directions only if they are on a list
// ([RequestField], [ResponseField]); nothing that tells clients apart is on it.
//
// Both ends derive two salts, for the commitments of a receipt, and share the
// client's one-time Ed25519 key, whose holder can later claim the receipt.
package sealed
