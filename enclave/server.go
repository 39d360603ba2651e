package enclave

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/cocoon-go/cocoon/attestation"
	"github.com/cocoon-go/cocoon/internal/pace"
)

// Limits of the outer HTTP server.
const (
	maxHeader  = 64 << 10
	maxReaders = 64 // requests that are read at once
	// maxSealed bounds a sealed request: 16 MiB of content, and what framing
	// and padding of small frames add.
	maxSealed = 34 << 20
)

// Server returns an HTTP server for the enclave's public paths
// (docs/spec/sealed.md, docs/spec/log.md). The caller listens.
func (e *Enclave) Server() *http.Server {
	return &http.Server{
		Handler:           pace.Handler(e.handler(), e.opts.Waits.Idle, e.opts.Waits.Total),
		ReadHeaderTimeout: e.opts.Waits.Header,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
	}
}

func (e *Enclave) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /.well-known/ohttp-gateway", e.gateway)
	mux.HandleFunc("GET /.well-known/cocoon/bundle", e.getBundle)
	mux.HandleFunc("GET /.well-known/cocoon/state", e.getState)
	mux.HandleFunc("GET /log/checkpoint", e.getCheckpoint)
	mux.HandleFunc("GET /log/anchor", e.getAnchor)
	mux.HandleFunc("GET /log/tile/", e.getTile)
	return mux
}

func (e *Enclave) getBundle(w http.ResponseWriter, _ *http.Request) {
	b := e.bundle.Load()
	if b == nil {
		http.Error(w, "no evidence yet", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/vnd.cocoon.bundle+cbor")
	_, _ = w.Write(b.bytes)
}

func (e *Enclave) getState(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	v := struct {
		State    string `json:"state"`
		Epoch    uint32 `json:"epoch"`
		Refusing string `json:"refusing,omitempty"`
		Head     uint32 `json:"head"`
		Anchored uint64 `json:"anchored"`
		Size     uint64 `json:"size"`
	}{State: e.State().String(), Epoch: e.epoch, Head: e.head.Seqno, Anchored: e.anchored.Size}
	e.mu.Unlock()
	v.Refusing = e.refusal()
	if s := e.serve.Load(); s != nil {
		v.Size = s.ledger.Size()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// open returns the serving state, or answers 503 when there is none.
func (e *Enclave) open(w http.ResponseWriter) *serving {
	s := e.serve.Load()
	if s == nil {
		http.Error(w, "the enclave does not serve yet", http.StatusServiceUnavailable)
	}
	return s
}

func (e *Enclave) getCheckpoint(w http.ResponseWriter, _ *http.Request) {
	s := e.open(w)
	if s == nil {
		return
	}
	cp, err := s.ledger.Checkpoint()
	if err != nil {
		e.fail(w, "checkpoint", err)
		return
	}
	note, err := cp.SignNote(e.logKey)
	if err != nil {
		e.fail(w, "checkpoint", err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(note)
}

// getAnchor returns the same head signed for the contract: what the host puts
// on the chain.
func (e *Enclave) getAnchor(w http.ResponseWriter, _ *http.Request) {
	s := e.open(w)
	if s == nil {
		return
	}
	cp, err := s.ledger.Checkpoint()
	if err != nil {
		e.fail(w, "anchor", err)
		return
	}
	sig := cp.SignAnchor(e.logKey)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(struct {
		Epoch     uint32 `json:"epoch"`
		Size      uint64 `json:"size"`
		Root      []byte `json:"root"`
		Signature []byte `json:"signature"`
	}{cp.Epoch, cp.Size, cp.Root[:], sig[:]})
}

func (e *Enclave) getTile(w http.ResponseWriter, r *http.Request) {
	s := e.open(w)
	if s == nil {
		return
	}
	data, err := s.ledger.Tile(strings.TrimPrefix(r.URL.Path, "/log/"))
	var bad *attestation.InputError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.As(err, &bad):
		http.NotFound(w, r)
		return
	case err != nil:
		e.fail(w, "tile", err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data)
}

func (e *Enclave) fail(w http.ResponseWriter, what string, err error) {
	e.log.Error("request failed", "what", what, "err", err)
	http.Error(w, "internal error", http.StatusInternalServerError)
}
