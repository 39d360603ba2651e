// Package tinylm is an [engine.Engine] in this process: it answers with a small
// language model that it embeds, in plain Go. It implements sections 5 to 8 of
// docs/spec/engine.md; docs/models.md describes the model.
//
// Its purpose is to be checked. Arithmetic, sampling, text and the bytes of an
// answer are defined to the bit, so anyone who holds a request and what its
// receipt states can run [Replay] on another machine and compare. Nothing of a
// request is kept: the model's state and the answer are overwritten when the
// answer ends, and there is no cache between requests.
//
// An answer is made ahead of its reader, into memory that the model's context
// bounds, so that a slow reader holds no place in the queue. Reading it is not
// what drives it; closing it or ending the context stops it before the next
// token.
package tinylm
