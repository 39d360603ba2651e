package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// penalty is how long a node that failed is asked after all others.
const penalty = 30 * time.Second

// maxClock is how far time and block of a receipt may be off (docs/spec/receipt.md).
const maxClock = 60 * time.Second

// RoundTrip implements http.RoundTripper. It verifies before it sends: a node
// that does not pass receives nothing. It goes on to another node only while
// not a byte of the request has left, or after an enclave's authenticated "not
// started". Host and scheme of the URL are ignored.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	content, err := readRequest(req)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, attestation.Unknown("the request was given up: %w", err)
	}
	order, err := c.candidates(ctx)
	if err != nil {
		return nil, err
	}
	why := map[attestation.Address]error{}
	for _, addr := range order {
		resp, again, err := c.try(ctx, req, addr, content)
		var own *requestError
		if err == nil {
			return resp, nil
		} else if errors.As(err, &own) {
			return nil, own.error
		}
		why[addr] = err
		if !again || ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("no node answered: %w", refusals(why, order))
}

// requestError says that a request can't be sent, to whichever node.
type requestError struct{ error }

func (e *requestError) Unwrap() error { return e.error }

// patience is how long a node may take before a caller who gives up on it counts
// against it.
const patience = 10 * time.Second

// try asks one node. The node is asked later than others for a while when it is to
// blame: not when the caller went away, or asks for what can't be sent.
func (c *Client) try(ctx context.Context, req *http.Request, addr attestation.Address, content []byte) (resp *http.Response, again bool, err error) {
	began := c.cfg.Now()
	node, err := c.Node(ctx, addr)
	again = true
	if err == nil {
		resp, again, err = c.ask(ctx, req, node, content)
	}
	var own *requestError
	gone := ctx.Err() != nil && (errors.Is(ctx.Err(), context.Canceled) || c.cfg.Now().Sub(began) < patience)
	if err != nil && !gone && !errors.As(err, &own) {
		c.fail(addr)
	}
	return resp, again, err
}

// CloseIdleConnections lets http.Client close what is idle.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

func readRequest(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer req.Body.Close()
	tooLarge := attestation.BadInput("%w: at most %d MiB", ErrTooLarge, maxRequest>>20)
	if req.ContentLength > maxRequest {
		return nil, tooLarge
	}
	content, err := io.ReadAll(io.LimitReader(req.Body, maxRequest+1))
	if err != nil {
		return nil, attestation.BadInput("reading the request: %w", err)
	}
	if len(content) > maxRequest {
		return nil, tooLarge
	}
	return content, nil
}

// ErrTooLarge is wrapped by the error of a request that no enclave would read.
var ErrTooLarge = errors.New("the request is too large")

// mostAsked is how many nodes one request may try: verifying costs the user's time.
const mostAsked = 8

// candidates returns the nodes to ask, in a random order, those that failed a
// moment ago last.
func (c *Client) candidates(ctx context.Context) ([]attestation.Address, error) {
	all := c.cfg.Nodes
	if len(all) == 0 {
		root, err := c.root.get(ctx)
		if err != nil {
			return nil, err
		}
		if all = root.Nodes; len(all) == 0 {
			return nil, attestation.Unknown("registry %v lists no node", c.cfg.Registry)
		}
	}
	order := pick(all, 8*mostAsked)
	now := c.cfg.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	late := func(a attestation.Address) int {
		if until, ok := c.failed.get(a); ok && now.Before(until) {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(order, func(a, b attestation.Address) int { return late(a) - late(b) })
	return order[:min(len(order), mostAsked)], nil
}

// pick returns up to n different places of a list in random order. It is quick
// also where the list is long.
func pick[T any](all []T, n int) []T {
	n = min(n, len(all))
	out := make([]T, 0, n)
	moved := make(map[int]int, n) // what a shuffle of all would have swapped so far
	at := func(i int) int {
		if to, ok := moved[i]; ok {
			return to
		}
		return i
	}
	for i := range n {
		j := i + rand.IntN(len(all)-i)
		out = append(out, all[at(j)])
		moved[j] = at(i)
	}
	return out
}

func (c *Client) fail(addr attestation.Address) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed.put(addr, c.cfg.Now().Add(penalty), 1)
}

// ask sends one request to one node. again says that another node may be
// asked: nothing of the request left, or the enclave did not start on it.
func (c *Client) ask(ctx context.Context, req *http.Request, node *Node, content []byte) (resp *http.Response, again bool, err error) {
	x, err := c.exchange(node)
	if err != nil {
		return nil, true, err
	}
	inner := req.Clone(ctx)
	inner.Body = io.NopCloser(bytes.NewReader(content))
	inner.ContentLength = int64(len(content))
	sealing, err := x.Request(inner)
	if err != nil {
		return nil, false, &requestError{err}
	}
	body, length, err := sealWhole(sealing, len(content))
	if err != nil {
		return nil, false, &requestError{err}
	}
	raw, sent, err := c.post(ctx, node.endpoint, body, length)
	if err != nil && sent {
		return nil, false, fmt.Errorf("%w; %w", err, ErrMayHaveRun)
	} else if err != nil {
		return nil, true, err
	}
	if raw.StatusCode != http.StatusOK || raw.Header.Get("Content-Type") != sealed.ResponseType {
		raw.Body.Close()
		// The relay's word, which nobody signed: the request may have run.
		c.Forget(node.record.Address)
		return nil, false, attestation.Unknown("the relay answers %d and nothing sealed; %w", raw.StatusCode, ErrMayHaveRun)
	}
	resp, err = x.Response(raw.Body)
	if err != nil {
		raw.Body.Close()
		return nil, false, fmt.Errorf("%w; %w", err, ErrMayHaveRun)
	}
	if reason, ok := sealed.NotStarted(resp); ok {
		resp.Body.Close()
		c.Forget(node.record.Address)
		return nil, true, attestation.Unknown("the enclave did not start: %s", reason)
	}
	go c.prepare(node, x) // while the enclave works
	a := &answer{
		body: resp.Body, resp: resp, x: x, c: c, node: node,
		request: receipt.Commit(x.RequestSalt(), content),
		content: receipt.NewCommitment(x.ResponseSalt()),
		model:   modelOf(content),
		held:    newHold(resp.Header.Get("Content-Type")),
	}
	resp.Body = a
	resp.Request = req
	return resp, false, nil
}

// ErrMayHaveRun is wrapped by errors of requests that had left when they failed:
// whoever sends such a request again may have it answered, and pay for it, twice.
var ErrMayHaveRun = errors.New("whether the request ran is not known")

// maxSealedWhole bounds the content of a request that is sealed before it is sent:
// what has a length goes out at once, with its header.
const maxSealedWhole = 64 << 10

// sealWhole seals a small request into memory, and returns its length; -1 means
// that it is sealed while it is sent.
func sealWhole(body io.ReadCloser, content int) (io.Reader, int64, error) {
	if content > maxSealedWhole {
		return body, -1, nil
	}
	defer body.Close()
	whole, err := io.ReadAll(body)
	return bytes.NewReader(whole), int64(len(whole)), err
}

// post sends a sealed request, of a length if that is not -1, to a relay. sent
// says that something of it may have left.
func (c *Client) post(ctx context.Context, endpoint string, body io.Reader, length int64) (raw *http.Response, sent bool, err error) {
	var any atomic.Bool
	if c.traced && length >= 0 {
		// Package http sends what it knows to be in memory together with the
		// header, so the body stays as it is. Without a connection nothing left.
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { any.Store(true) }})
	} else {
		body = takenBody{body, &any}
	}
	u, err := relayURL(endpoint, "/.well-known/ohttp-gateway")
	if err != nil {
		return nil, false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, body)
	if err != nil {
		return nil, false, attestation.BadInput("relay: %w", err)
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", sealed.RequestType)
	req.Header.Set("User-Agent", "")
	if raw, err = c.http.Do(req); err != nil {
		return nil, any.Load(), attestation.Unknown("sending to the relay: %w", err)
	}
	return raw, true, nil
}

// takenBody notes that somebody began to read it. Unlike the hooks of
// httptrace, this holds for every transport.
type takenBody struct {
	io.Reader
	any *atomic.Bool
}

func (b takenBody) Read(p []byte) (int, error) {
	b.any.Store(true)
	return b.Reader.Read(p)
}

// Close closes what can be closed.
func (b takenBody) Close() error {
	if c, ok := b.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// modelOf returns the model that a request names, "" when it names none.
func modelOf(content []byte) string {
	var v struct {
		Model string `json:"model"`
	}
	if json.Unmarshal(content, &v) != nil {
		return ""
	}
	return v.Model
}

// answer is the body of a response: it ends with io.EOF only when the receipt
// is there and right, and does not give its end away before.
type answer struct {
	body    io.ReadCloser
	resp    *http.Response
	x       *sealed.Exchange
	c       *Client
	node    *Node
	request [32]byte
	content *receipt.Commitment
	model   string

	held    *hold
	scratch []byte
	err     error // sticky
	file    atomic.Pointer[receipt.File]
}

func (a *answer) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if n := a.held.take(p); n > 0 {
			return n, nil
		}
		if a.err != nil {
			return 0, a.err
		}
		a.more()
	}
	return 0, nil
}

// readSize is how much of an answer is read at once.
const readSize = 4 << 10

// more reads on. At the end it checks the receipt before the rest of the answer
// is given away; a rest whose receipt is not right never is.
func (a *answer) more() {
	if a.scratch == nil {
		a.scratch = make([]byte, readSize)
	}
	n, err := a.body.Read(a.scratch)
	a.content.Write(a.scratch[:n])
	if herr := a.held.add(a.scratch[:n]); herr != nil {
		err = herr
	} else if errors.Is(err, io.EOF) {
		if err = a.finish(); errors.Is(err, io.EOF) {
			a.held.release()
		}
	}
	a.err = err
}

func (a *answer) Close() error { return a.body.Close() }

// finish checks the receipt, keeps it, and returns io.EOF.
func (a *answer) finish() error {
	values := a.resp.Trailer.Values(receipt.TrailerName)
	if len(values) != 1 {
		return attestation.False("the answer ended with %d receipts, want one: it is incomplete", len(values))
	}
	r, err := receipt.ParseTrailer(values[0])
	if err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	if err := a.check(r); err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	f := &receipt.File{Receipt: r, RequestSalt: a.x.RequestSalt(), ResponseSalt: a.x.ResponseSalt(), HolderSeed: a.x.HolderSeed()}
	if a.c.cfg.Keep != nil {
		if err := a.c.cfg.Keep(f, a.node); err != nil {
			return fmt.Errorf("keeping the receipt: %w", err)
		}
	}
	a.file.Store(f)
	return io.EOF
}

// check compares a receipt with everything this client knows by itself.
func (a *answer) check(r *receipt.Receipt) error {
	claims := a.node.verified.Claims()
	if err := r.Verify(claims.ReceiptKey); err != nil {
		return err
	}
	h, b := &r.Head, &r.Body
	switch {
	case h.Node != claims.Node || h.Epoch != claims.Epoch:
		return attestation.False("it is of epoch %d of node %v, the request went to epoch %d of %v", h.Epoch, h.Node, claims.Epoch, claims.Node)
	case b.ClaimsDigest != a.x.ClaimsDigest():
		return attestation.False("it names other claims than those that were verified")
	case h.Holder != receipt.Holder([32]byte(a.x.Holder())):
		return attestation.False("it was made out to another holder")
	case b.RequestCommitment != a.request:
		return attestation.False("it commits to another request")
	case b.ResponseCommitment != a.content.Sum():
		return attestation.False("it commits to another answer than the one received")
	}
	if err := a.checkModel(claims, b); err != nil {
		return err
	}
	now := a.c.cfg.Now()
	if d := now.Sub(time.Unix(int64(h.Time), 0)).Abs(); d > maxClock {
		return attestation.False("its time is %s away from this machine's clock", d.Round(time.Second))
	}
	t, err := a.c.blockTime(a.resp.Request.Context(), h.BlockSeqno)
	if err != nil {
		return fmt.Errorf("the block it names: %w", err)
	}
	if d := now.Sub(t).Abs(); d > maxClock {
		return attestation.False("block %d, which it names, is %s away from this machine's clock", h.BlockSeqno, d.Round(time.Second))
	}
	return nil
}

// blockTime returns the proved time of a masterchain block, remembered for the
// answers of the same moment.
func (c *Client) blockTime(ctx context.Context, seqno uint32) (time.Time, error) {
	c.mu.Lock()
	t, ok := c.blocks.get(seqno)
	c.mu.Unlock()
	if ok {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	b, err := c.chain.Block(ctx, seqno)
	if err != nil {
		return time.Time{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.blocks.put(seqno, b.Time, 1)
	return b.Time, nil
}

// checkModel demands that the model which answered is one that was verified, and
// the one that was asked for.
func (a *answer) checkModel(claims *attestation.Claims, b *receipt.Body) error {
	for _, m := range a.node.verified.Models() {
		if m.Digest == b.ModelDigest && (a.model == "" || a.model == m.Name) {
			return nil
		}
	}
	if b.Finish == receipt.Failed || b.CompletionTokens == 0 {
		if b.ModelDigest == claims.Body.ModelRoot() {
			return nil // no model answered: a list of models, or a refusal
		}
	}
	return attestation.False("it names a model that was not asked for, or not verified")
}

// ReceiptOf returns what to keep of an answer, once its body was read to io.EOF:
// the receipt, and the secrets that open its commitments. It returns nil
// before that, and for responses that do not come from a Client.
func ReceiptOf(resp *http.Response) *receipt.File {
	if resp == nil {
		return nil
	}
	a, ok := resp.Body.(*answer)
	if !ok {
		return nil
	}
	return a.file.Load()
}

// NodeOf returns the verified node that a response comes from, nil for
// responses that do not come from a Client.
func NodeOf(resp *http.Response) *Node {
	if resp == nil {
		return nil
	}
	a, ok := resp.Body.(*answer)
	if !ok {
		return nil
	}
	return a.node
}
