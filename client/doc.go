// Package client is the SDK: it finds a node, proves what it is, and only then
// seals a request to it. A [Client] is an http.RoundTripper that speaks the
// OpenAI API, so any HTTP code works unchanged:
//
//	c, err := client.New(client.Config{Policy: policy, Chain: chain, Registry: registry})
//	resp, err := (&http.Client{Transport: c}).Post("http://cocoon/v1/chat/completions", ...)
//
// The host in the URL does not matter: nodes come from the registry on TON. The
// body of an answer ends with io.EOF only when its receipt is there and
// right; an answer that was cut off, changed, or came without one ends in
// an error. The end of the content, which is the event [DONE] of a stream or the
// last byte of anything else, is held back until then: a program that stops at
// the end of a document is as safe as one that reads to io.EOF. After it,
// [ReceiptOf] returns what to keep.
//
// What a Client believes comes from its policy, from proofs of the chain, and
// from vendor-signed evidence; never from a node or its relay. What it can't
// find out is an error of its own family and is never taken for good. Every
// refusal carries the reasons of all nodes that were tried.
//
// What the chain proved about a node is used for 30 seconds, with lists of the
// registry that are up to 30 seconds older, from blocks of at most two minutes
// before: so long may a revocation not be seen. Verdicts are kept until they
// end, those of ten thousand nodes in at most 100 MB. What a node served to be
// verified by is kept for a few hundred, and fetched again for the others when a
// proof needs it: see [Node.Source].
//
// What a node's enclave signed may be a fault that the chain punishes.
// [Client.ReportReceipts], [Client.ReportHeads], [Client.ChallengeReceipt] and
// [Client.ChallengeLog] make the message, after looking for what the contract would
// refuse; a wallet of the caller's sends it.
//
// A Client is safe for concurrent use.
package client
