// Package bhttp implements Binary HTTP (RFC 9292): both framings, known length
// and indeterminate length, for requests and responses, with trailers. It has
// no dependency outside the standard library.
//
// Encoding is by Append functions: a head ([AppendRequest], [AppendResponse]),
// any number of content chunks ([AppendChunk]), an end ([AppendEnd]); or a
// whole known-length message ([AppendKnownRequest], [AppendKnownResponse]).
// Decoding streams: [ReadRequest] and [ReadResponse] return as soon as the
// head is complete, and the content is read from [Body] as it arrives.
// [Request.HTTP] and [Response.HTTP] map to net/http.
//
// Everything that is read is bounded ([Limits]) and checked. Decoding is
// stricter than RFC 9292 in these points, each of which the RFC leaves to the
// encoder or to HTTP:
//
//   - an integer has its shortest encoding (package varint);
//   - no field that speaks of a connection (RFC 9113, section 8.2.2) and no
//     pseudo-field at all;
//   - no control character in a value except tab;
//   - a content-length field, if there, is true;
//   - a request has a path that starts with "/" (or is "*" for OPTIONS), an
//     authority without user info, and is no CONNECT;
//   - padding is zero, and at most [MaxPadding] bytes;
//   - at most [MaxFields] field lines a section.
//
// Informational responses are checked, counted against the header limit, and
// dropped. [Body.Read] returns io.EOF only when trailer and padding were good
// and the reader below has ended, so a reader that authenticates its end has
// then done so. Nothing here is safe for concurrent use.
package bhttp
