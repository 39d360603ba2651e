package engine

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
)

// RootDigest returns the identity of a model: the OMS 1.0 root digest of its
// files (OpenSSF model signing specification, section 6.5.1), which is SHA-256
// over the SHA-256 digests of the files in the order of their paths. It covers
// weights, configuration, tokenizer, chat template and adapters, because it covers
// all files.
func RootDigest(files map[string][32]byte) [32]byte {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	h := sha256.New()
	for _, n := range names {
		d := files[n]
		h.Write(d[:])
	}
	return [32]byte(h.Sum(nil))
}

// checkModels validates a list of models and returns a sorted copy.
func checkModels(models []Model) ([]Model, error) {
	out := slices.Clone(models)
	slices.SortFunc(out, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	if len(out) == 0 {
		return nil, fmt.Errorf("engine: no model")
	}
	for i, m := range out {
		switch {
		case m.Name == "" || len(m.Name) > 256 || path.Clean("/"+m.Name) != "/"+m.Name || strings.ContainsFunc(m.Name, func(r rune) bool { return r < '!' || r > '~' }):
			return nil, fmt.Errorf("engine: model name %q: want 1 to 256 printable ASCII characters that are a clean path", m.Name)
		case i > 0 && out[i-1].Name == m.Name:
			return nil, fmt.Errorf("engine: model %q is listed twice", m.Name)
		case m.Digest == [32]byte{}:
			return nil, fmt.Errorf("engine: model %q has no digest", m.Name)
		}
	}
	return out, nil
}

// ModelsResponse answers GET /v1/models and GET /v1/models/NAME from an identity
// and completes the report. Engines use it instead of asking what they front,
// whose own list can show paths of the machine.
func ModelsResponse(req *http.Request, id Identity, r *Report) *http.Response {
	type model struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Created int64  `json:"created"`
		OwnedBy string `json:"owned_by"`
		Context uint64 `json:"max_model_len,omitempty"`
		License string `json:"license,omitempty"`
		Digest  string `json:"digest"`
	}
	show := func(m Model) model {
		return model{m.Name, "model", 0, id.Name, m.Context, m.License, fmt.Sprintf("%x", m.Digest)}
	}
	r.Exact = true
	var v any
	if r.params.Endpoint == EndpointModel {
		m, ok := id.Model(r.params.Model)
		if !ok {
			r.Finish = FinishFailed
			return noModel(r.params.Model).Response(req)
		}
		v = show(m)
	} else {
		list := []model{}
		for _, m := range id.Models {
			list = append(list, show(m))
		}
		v = struct {
			Object string  `json:"object"`
			Data   []model `json:"data"`
		}{"list", list}
	}
	b, _ := json.Marshal(v) // strings and numbers always marshal
	r.Finish = FinishComplete
	return jsonResponse(req, http.StatusOK, b)
}

func noModel(name string) *Error {
	return &Error{Status: http.StatusNotFound, Type: "invalid_request_error", Code: "model_not_found",
		public: "no such model", param: "model", detail: fmt.Sprintf("The model %q does not exist", name)}
}
