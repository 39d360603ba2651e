package enclave

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation/receipt"
	"github.com/cocoon-go/cocoon/enclave/engine"
	"github.com/cocoon-go/cocoon/internal/sealed"
)

// gateway answers one sealed request. What goes wrong before the request is
// open gets a plain status without a reason; everything after it is inside the
// sealed answer.
func (e *Enclave) gateway(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != sealed.RequestType {
		http.Error(w, "want a body of type "+sealed.RequestType, http.StatusUnsupportedMediaType)
		return
	}
	if e.bundle.Load() == nil {
		http.Error(w, "no keys yet", http.StatusServiceUnavailable)
		return
	}
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", sealed.ResponseType)
	w.Header().Set("Cache-Control", "no-store")
	in, err := e.keys.Open(r.Context(), e.opts.Now(), http.MaxBytesReader(w, r.Body, maxSealed))
	var refused *sealed.NotStartedError
	switch {
	case errors.As(err, &refused):
		err = refused.Reply(w, rc.Flush)
	case err != nil:
		w.Header().Del("Content-Type")
		w.WriteHeader(sealed.Status(err)) // to whom, is not known: no words
	default:
		err = e.answer(r.Context(), in, w, rc)
	}
	if err != nil {
		e.log.Info("request ended early", "err", class(err))
	}
}

// class reduces an error to a word for the log: what an engine or a transport
// says may hold words of a request.
func class(err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "deadline"
	}
	return "transport"
}

// answer runs one opened request to its end.
func (e *Enclave) answer(ctx context.Context, in *sealed.Inbound, w http.ResponseWriter, rc *http.ResponseController) error {
	// The authenticated answer that nothing was run: the client may ask again,
	// here or elsewhere.
	notStarted := func(why string) error { return in.NotStarted(w, rc.Flush, why) }
	s := e.serve.Load()
	if s == nil {
		return notStarted("not serving")
	}
	if in.ClaimsDigest != s.digest {
		return notStarted("other claims")
	}
	if why := e.refusal(); why != "" {
		return notStarted(why)
	}
	content, err := e.read(in.Request.Body)
	switch {
	case errors.Is(err, errBusy):
		return notStarted("busy")
	case errors.Is(err, sealed.ErrTooLarge):
		return notStarted("too large")
	case err != nil:
		w.Header().Del("Content-Type")
		w.WriteHeader(sealed.Status(err)) // nothing was run
		return err
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	default:
		return notStarted("busy")
	}
	// The request is whole: from here on only the connection's end matters.
	if err := rc.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	reply, err := in.Reply(w, rc.Flush)
	if err != nil {
		return err
	}
	defer reply.Abort()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Limits.Deadline)
	defer cancel()
	a := &answering{e: e, s: s, in: in, reply: reply, cancel: cancel,
		request:  receipt.Commit(in.RequestSalt, content),
		response: receipt.NewCommitment(in.ResponseSalt)}
	return a.run(ctx, content)
}

var errBusy = errors.New("too many requests are being read")

// read reads a request whole. The number of readers is bounded, and with it the
// memory that half-sent requests hold.
func (e *Enclave) read(body io.Reader) ([]byte, error) {
	select {
	case e.readers <- struct{}{}:
		defer func() { <-e.readers }()
	default:
		return nil, errBusy
	}
	return io.ReadAll(body) // bounded by the keyring
}

// answering is one request that was started: it ends with a receipt, whatever
// happens.
type answering struct {
	e        *Enclave
	s        *serving
	in       *sealed.Inbound
	reply    *sealed.ReplyWriter
	cancel   context.CancelFunc
	request  [32]byte
	response *receipt.Commitment
	report   *engine.Report // nil until the request was accepted
}

func (a *answering) run(ctx context.Context, content []byte) error {
	sendErr := a.stream(ctx, content)
	rcpt, err := a.sign()
	if err != nil {
		a.e.log.Error("no receipt could be made", "err", err)
		return fmt.Errorf("receipt: %w", err)
	}
	if sendErr != nil {
		return sendErr // the receipt is in the log, over what was sent
	}
	value, err := rcpt.EncodeTrailer()
	if err != nil {
		return err
	}
	t := http.Header{}
	t.Set(receipt.TrailerName, value)
	return a.reply.Close(t)
}

// stream has the engine answer and passes the answer on. It returns an error
// only when the client could not be reached any more.
func (a *answering) stream(ctx context.Context, content []byte) error {
	resp, err := a.ask(ctx, content)
	if err != nil {
		var refused *engine.Error
		if !errors.As(err, &refused) {
			refused = engine.Unavailable(http.StatusServiceUnavailable, "engine_unavailable", "the engine gives no answer")
		}
		resp = refused.Response(a.in.Request)
	}
	defer resp.Body.Close()
	h := http.Header{}
	for k, v := range resp.Header {
		if sealed.ResponseField(strings.ToLower(k)) {
			h[k] = v
		}
	}
	if err := a.reply.WriteHeader(resp.StatusCode, h); err != nil {
		a.cancel()
		return err
	}
	size := 16 << 10
	if n := resp.ContentLength; n >= 0 && n < int64(size) {
		// The engine has it complete, so nothing but the receipt is waited for:
		// one frame, one write, and one wake-up of everybody on the way less.
		a.reply.Coalesce(receiptWait)
		size = int(n) + 1
	}
	buf := make([]byte, size)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			if _, werr := a.reply.Write(buf[:n]); werr != nil {
				a.cancel()
				return werr
			}
			a.response.Write(buf[:n]) // what was given away, and nothing else, is committed to
		}
		if err != nil {
			return nil // complete or failed: the report says which
		}
	}
}

// receiptWait is how long a small answer waits for its receipt, to leave with it.
const receiptWait = time.Second

// ask checks and edits the request, and starts the engine on it.
func (a *answering) ask(ctx context.Context, content []byte) (*http.Response, error) {
	in := a.in.Request
	shaped, params, err := engine.Shape(in.Method, in.URL.Path, in.Header, content, a.e.limits)
	if err != nil {
		return nil, err
	}
	a.report = engine.NewReport(params)
	a.report.Created = a.e.opts.Now().Unix()
	req, err := http.NewRequestWithContext(engine.WithReport(ctx, a.report), in.Method, "http://engine"+params.Path, bytes.NewReader(shaped))
	if err != nil {
		return nil, err
	}
	if len(shaped) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return a.e.opts.Engine.RoundTripper().RoundTrip(req)
}

// sign makes the receipt: its index is given, and its leaf made durable, here.
func (a *answering) sign() (*receipt.Receipt, error) {
	e := a.e
	now := e.opts.Now()
	e.mu.Lock()
	seqno := e.head.Seqno
	e.mu.Unlock()
	body := a.body()
	r, err := a.s.ledger.Append(func(index uint64) (*receipt.Receipt, error) {
		return receipt.Sign(e.receiptKey, receipt.Head{
			Node: e.cfg.Node, Epoch: e.epoch, Index: index,
			Time: uint32(now.Unix()), BlockSeqno: seqno,
			Holder: receipt.Holder([32]byte(a.in.Holder)),
		}, body)
	})
	if err == nil {
		e.appended(r.Head.Index)
	}
	return r, err
}

// body is the receipt's body. A request that was refused has no report: its
// receipt commits to the refusal, and says that nothing was generated.
func (a *answering) body() *receipt.Body {
	b := &receipt.Body{
		ClaimsDigest:       a.s.digest,
		RequestCommitment:  a.request,
		ResponseCommitment: a.response.Sum(),
		ModelDigest:        a.e.body.ModelRoot(),
		Engine:             a.e.body.Engine,
		Finish:             receipt.Failed,
	}
	rep := a.report
	if rep == nil {
		return b
	}
	if m, ok := a.e.opts.Engine.Identity().Model(rep.Model); ok {
		b.ModelDigest = m.Digest
	}
	b.OutputTokens = rep.TokenIDs
	b.PromptTokens, b.CompletionTokens = rep.PromptTokens, rep.CompletionTokens
	b.Sampling = receipt.Sampling{Temperature: rep.Temperature, TopP: rep.TopP, Seed: rep.Seed, MaxTokens: rep.MaxTokens}
	if rep.Finish != "" {
		b.Finish = receipt.Finish(rep.Finish)
	}
	return b
}
