// Package ohttp implements Oblivious HTTP (RFC 9458) with chunked messages
// (draft-ietf-ohai-chunked-ohttp-08), in one cipher suite:
//
//	KEM  0x647a MLKEM768-X25519   (draft-ietf-hpke-pq, also known as X-Wing)
//	KDF  0x0001 HKDF-SHA256
//	AEAD 0x0002 AES-256-GCM
//
// Everything else is refused ([ErrUnsupported]). HPKE is crypto/hpke.
//
// A client makes a [Client] from a [KeyConfig] for one exchange, seals the
// request with [Client.Request] and opens the answer with [Client.Response]. A
// server reads a [RequestHeader], finds the key by its id, and gets a [Server]
// from [PrivateKey.Accept]: [Server.Request] opens, [Server.Response] seals.
// Both can derive further secrets with Export.
//
// Messages stream in chunks of at most [MaxChunk] bytes. The order of chunks
// and the end of the message are authenticated: a missing, moved, repeated,
// foreign or changed chunk is [ErrAuthentication], a message that stops before
// its final chunk is [ErrTruncated], and no byte of a chunk is handed out
// before the whole chunk has been authenticated. This package does not detect
// that a whole request is sent twice; see package sealed.
//
// [Labels] are the strings that keep protocols apart. [Chunked] has those of
// the draft, for content in Binary HTTP; a protocol with another content uses
// its own (RFC 9458, section 4.6).
//
// Decoding is stricter than the draft in one point: lengths have their shortest
// form. "The choice between equivalent encodings is not authenticated"
// (section 6), so a relay could mark a message with it.
package ohttp
